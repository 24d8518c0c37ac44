import LeanKMask
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

  /// Tables by layer; layers with the same frequencies share one.
  static func shared(
    _ rotations: [RotaryFrequencies?], positions: Range<Int>
  ) -> [RotaryTable?] {
    var tables: [RotaryFrequencies: RotaryTable] = [:]
    return rotations.map { frequencies in
      guard let frequencies else { return nil }
      if let table = tables[frequencies] { return table }
      let table = RotaryTable(frequencies, positions: positions)
      tables[frequencies] = table
      return table
    }
  }

  /// Index of the first pair's angle at `position`, which is one of the table's.
  func first(at position: Int) -> Int { (position - positions.lowerBound) * pairs }

  /// Rotates the pairs of every head of one row of full-width heads, which is the token at `position`.
  func rotate(
    _ x: inout Matrix, row: Int, position: Int, _ geometry: RotaryGeometry, _ headDim: Int
  ) {
    let (step, reach) = geometry.pairing == .half ? (1, pairs) : (2, 1)
    let angles = first(at: position)
    for head in stride(from: row * x.columns, to: (row + 1) * x.columns, by: headDim) {
      for pair in 0..<pairs {
        let cosine = cosine[angles + pair]
        let sine = sine[angles + pair]
        let first = head + pair * step
        let a = x.values[first]
        let b = x.values[first + reach]
        x.values[first] = a * cosine - b * sine
        x.values[first + reach] = b * cosine + a * sine
      }
    }
  }
}
