import LeanKModel
import RealModule

/// Cosines and sines of a rotation by position and pair.
final class RotaryTable {
  let frequencies: RotaryFrequencies
  private(set) var cosine: [Float] = []
  private(set) var sine: [Float] = []

  /// Pairs of a head.
  var pairs: Int { frequencies.inverse.count }

  init(_ frequencies: RotaryFrequencies) { self.frequencies = frequencies }

  /// Makes sure that positions up to `count` are there.
  func extend(to count: Int) {
    let done = pairs == 0 ? count : cosine.count / pairs
    for position in done..<max(done, count) {
      for frequency in frequencies.inverse {
        // The angle is rounded to f32, as transformers has it.
        let angle = Double(Float(position) * frequency)
        cosine.append(Float(Double.cos(angle)) * frequencies.attentionFactor)
        sine.append(Float(Double.sin(angle)) * frequencies.attentionFactor)
      }
    }
  }
}
