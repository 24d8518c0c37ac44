import LeanKCheckpoint
import TensorFiles

/// A weight of one byte an element with its scales, widened when read.
struct ScaledWeight {
  private let rowsPerScale: Int
  private let columnsPerScale: Int
  private let columns: Int
  /// Row after row.
  private let scales: [Float]
  private let scaleColumns: Int
  /// What each byte means by itself.
  let values: [Float]

  /// nil for an element type that is not known, or scales in one that the decoder does not read.
  init?(_ scale: WeightScale, of weight: TensorInfo, scales: [Float]) {
    guard let values = Self.values(of: weight.scalar), let columns = weight.shape.last, columns > 0
    else { return nil }
    self.values = values
    self.columns = columns
    self.scales = scales
    rowsPerScale = scale.rowsPerScale
    columnsPerScale = scale.columnsPerScale
    scaleColumns = (columns - 1) / scale.columnsPerScale + 1
    let rows = weight.rows
    guard
      scales.count == (rows == 0 ? 0 : (rows - 1) / rowsPerScale + 1) * scaleColumns
        || scales.count == 1
    else { return nil }
  }

  /// How many elements from `index` on, in C order, share a scale, and that scale.
  func run(from index: Int) -> (count: Int, scale: Float) {
    let (row, column) = index.quotientAndRemainder(dividingBy: columns)
    let block = column / columnsPerScale
    return (
      min((block + 1) * columnsPerScale, columns) - column,
      scales[row / rowsPerScale * scaleColumns + block]
    )
  }

  /// What each byte means by itself.
  static func values(of scalar: ScalarType) -> [Float]? {
    switch scalar {
    case .i8: (0...255).map { Float(Int8(truncatingIfNeeded: $0)) }
    // No infinities; the highest code is not a number.
    case .f8e4m3:
      (0...255).map { small($0, exponentBits: 4, bias: 7) { $0 == 0x7F ? .nan : nil } }
    case .f8e5m2:
      (0...255).map { code in
        small(code, exponentBits: 5, bias: 15) { $0 < 0x7C ? nil : $0 == 0x7C ? .infinity : .nan }
      }
    default: nil
    }
  }

  /// An 8-bit floating-point number; `special` answers for codes without sign that are not numbers.
  private static func small(
    _ code: Int, exponentBits: Int, bias: Int, special: (Int) -> Float?
  ) -> Float {
    let magnitude = code & 0x7F
    let fractionBits = 7 - exponentBits
    let exponent = magnitude >> fractionBits
    let fraction = Float(magnitude & (1 << fractionBits - 1)) / Float(1 << fractionBits)
    let value =
      special(magnitude)
      ?? Float(
        sign: .plus, exponent: max(exponent, 1) - bias,
        significand: exponent == 0 ? fraction : 1 + fraction)
    return code < 0x80 ? value : -value
  }
}
