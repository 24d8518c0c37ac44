import LeanKModel
import RealModule

/// Cosines and sines of a rotation for some positions, by position and pair.
struct RotaryTable: Sendable {
  let positions: Range<Int>
  /// Pairs of a head.
  let pairs: Int
  /// [positions, pairs]
  let cosine: [Float]
  let sine: [Float]

  init(_ frequencies: RotaryFrequencies, positions: Range<Int>) {
    self.positions = positions
    pairs = frequencies.inverse.count
    var cosine: [Float] = []
    var sine: [Float] = []
    cosine.reserveCapacity(positions.count * pairs)
    sine.reserveCapacity(positions.count * pairs)
    for position in positions {
      for frequency in frequencies.inverse {
        // The angle is rounded to f32, as transformers has it.
        let angle = Double(Float(position) * frequency)
        cosine.append(Float(Double.cos(angle)) * frequencies.attentionFactor)
        sine.append(Float(Double.sin(angle)) * frequencies.attentionFactor)
      }
    }
    self.cosine = cosine
    self.sine = sine
  }

  /// Index of the first pair's angle at `position`, which is one of the table's.
  func first(at position: Int) -> Int { (position - positions.lowerBound) * pairs }
}
