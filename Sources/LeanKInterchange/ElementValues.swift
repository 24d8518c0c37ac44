import ByteIO
import LeanKMask
import TensorFiles

/// The numbers of a tensor, as masks and scores want them.
struct ElementValues {
  private let array: TensorArray
  private let kind: Kind

  private enum Kind {
    case bool, real16, brain16, real32, real64, signed, unsigned
  }

  /// Fails with `.elementType` for types narrower than a byte, eight-bit floats and complex numbers.
  init(_ array: TensorArray, name: String) throws(InterchangeError) {
    switch array.scalar {
    case .bool: kind = .bool
    case .f16: kind = .real16
    case .bf16: kind = .brain16
    case .f32: kind = .real32
    case .f64: kind = .real64
    case .i8, .i16, .i32, .i64: kind = .signed
    case .u8, .u16, .u32, .u64: kind = .unsigned
    case .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .f4, .f6e2m3, .f6e3m2, .c64:
      throw InterchangeError(
        .elementType,
        "\(array.scalar.rawValue) is no type for masks or scores: use BOOL, an integer, F16, BF16, F32 "
          + "or F64", at: .key(name))
    }
    self.array = array
  }

  /// The element's bytes as an unsigned number.
  private func pattern(_ index: Int) -> UInt64 {
    let width = array.scalar.bitWidth / 8
    var value: UInt64 = 0
    for byte in (0..<width).reversed() {
      value = value << 8 | UInt64(array.bytes[index * width + byte])
    }
    return value
  }

  private var signBit: UInt64 { 1 << UInt64(array.scalar.bitWidth - 1) }

  /// Whether element `index` is 1, or not, being 0; nil for every other value.
  func bit(_ index: Int) -> Bool? {
    let pattern = pattern(index)
    let one: UInt64 =
      switch kind {
      case .bool, .signed, .unsigned: 1
      case .real16: 0x3C00
      case .brain16: 0x3F80
      case .real32: 0x3F80_0000
      case .real64: 0x3FF0_0000_0000_0000
      }
    if pattern == one { return true }
    if pattern == 0 { return false }
    switch kind {
    case .bool, .signed, .unsigned: return nil
    case .real16, .brain16, .real32, .real64: return pattern == signBit ? false : nil
    }
  }

  /// Whether every element is 0 or 1.
  var areBits: Bool { (0..<array.count).allSatisfy { bit($0) != nil } }

  /// The elements as bits. Fails with `.values` on the first that is neither 0 nor 1.
  func bits(name: String) throws(InterchangeError) -> [Bool] {
    var result: [Bool] = []
    result.reserveCapacity(array.count)
    for index in 0..<array.count {
      guard let bit = bit(index) else {
        throw InterchangeError(
          .values, "mask element \(index) is neither 0 nor 1", at: .key(name))
      }
      result.append(bit)
    }
    return result
  }

  /// Storage type of the scores that these elements become.
  var scoreScalar: ImportanceScores.Scalar {
    switch kind {
    case .real16: .f16
    case .brain16: .bf16
    default: .f32
    }
  }

  /// The elements as patterns of `scoreScalar`, and how many had to be rounded. `first` is the number
  /// of the first among the scores of all layers.
  ///
  /// Fails with `.values` on what no score can be, before anything is allocated: a BOOL that is neither
  /// 0 nor 1, a number past F32's range, a NaN, an alpha outside 0...1.
  func scores(
    name: String, from first: Int, areAlphas: Bool
  ) throws(InterchangeError) -> (bits: [UInt32], rounded: Int) {
    for index in 0..<array.count {
      let pattern = try score(index, name: name).pattern
      try InterchangeError.converting(at: .key(name)) { () throws(MaskError) in
        try ImportanceScores.check(
          pattern, at: first + index, as: scoreScalar, isAlpha: areAlphas)
      }
    }
    var result: [UInt32] = []
    result.reserveCapacity(array.count)
    var rounded = 0
    for index in 0..<array.count {
      let (pattern, isRounded) = try score(index, name: name)
      result.append(pattern)
      if isRounded { rounded += 1 }
    }
    return (result, rounded)
  }

  private func score(
    _ index: Int, name: String
  ) throws(InterchangeError) -> (pattern: UInt32, isRounded: Bool) {
    let pattern = pattern(index)
    switch kind {
    case .real16, .brain16, .real32: return (UInt32(truncatingIfNeeded: pattern), false)
    case .bool:
      guard pattern <= 1 else {
        throw InterchangeError(.values, "BOOL element \(index) is neither 0 nor 1", at: .key(name))
      }
      return (Float(pattern).bitPattern, false)
    case .signed:
      let extended =
        pattern & signBit != 0
        ? Int64(bitPattern: pattern | ~(signBit &* 2 &- 1)) : Int64(pattern)
      return (Float(extended).bitPattern, Float(exactly: extended) == nil)
    case .unsigned: return (Float(pattern).bitPattern, Float(exactly: pattern) == nil)
    case .real64:
      let value = Double(bitPattern: pattern)
      let narrow = Float(value)
      guard narrow.isFinite || !value.isFinite else {
        throw InterchangeError(
          .values, "score \(index) is \(value), past the range of F32", at: .key(name))
      }
      return (narrow.bitPattern, !value.isNaN && Double(narrow) != value)
    }
  }
}
