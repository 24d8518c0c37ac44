public import ByteIO

/// Writes tables of scaling factors as LeanK's trainer does.
public enum TsvWriter {
  /// `array`, F64 [rows, columns] with values in 0...1, each with 19 significant digits in exponent
  /// form, which a reader rounds back to the same double.
  ///
  /// Fails with `.unwritable` for other types, ranks and values.
  public static func bytes(of array: TensorArray) throws(TensorFileError) -> [UInt8] {
    guard array.scalar == .f64, array.shape.count == 2, array.count > 0 else {
      throw TensorFileError(
        .unwritable,
        "a table holds one F64 array [rows, columns], not \(array.scalar.rawValue) \(array.shape)")
    }
    var text: [UInt8] = []
    var index = 0
    for _ in 0..<array.shape[0] {
      for column in 0..<array.shape[1] {
        let value = Double(bitPattern: array.bytes.span.littleEndian(at: index * 8))
        guard (0...1).contains(value) else {
          throw TensorFileError(.unwritable, "a table holds values in 0...1, not \(value)")
        }
        if column > 0 { text.append(0x09) }
        text.append(contentsOf: ExponentForm.text(of: value).utf8)
        index += 1
      }
      text.append(0x0A)
    }
    return text
  }
}

/// C's `%.18e` without C: variadic functions are not to be had.
enum ExponentForm {
  /// The exact decimal expansion of `value`, in 0...1, rounded to 19 significant digits, ties to even.
  static func text(of value: Double) -> String {
    guard value > 0 else { return "0.000000000000000000e+00" }
    // value = significand * 2^scale = significand * 5^-scale / 10^-scale, scale being below 0 up to 1.
    let isNormal = value.exponentBitPattern > 0
    let significand = value.significandBitPattern | (isNormal ? 1 << 52 : 0)
    let scale = Int(isNormal ? value.exponentBitPattern : 1) - 1075
    var digits = BigDecimal(significand)
    for _ in 0..<(-scale / 13) { digits.multiply(by: 1_220_703_125) }
    for _ in 0..<(-scale % 13) { digits.multiply(by: 5) }
    let text = digits.digits
    let exponent = text.count - 1 + scale
    let (mantissa, carry) = rounded(text)
    let shown = exponent + carry
    let sign = shown < 0 ? "-" : "+"
    let magnitude = String(abs(shown))
    let body = String(decoding: mantissa.map { $0 + 0x30 }, as: UTF8.self)
    return body.prefix(1) + "." + body.dropFirst() + "e" + sign
      + (magnitude.count < 2 ? "0" + magnitude : magnitude)
  }

  /// Nineteen digits of `digits`, and 1 where rounding made one more.
  private static func rounded(_ digits: [UInt8]) -> ([UInt8], carry: Int) {
    let kept = 19
    guard digits.count > kept else {
      return (digits + [UInt8](repeating: 0, count: kept - digits.count), 0)
    }
    var result = Array(digits[..<kept])
    let isAbove =
      digits[kept] > 5 || (digits[kept] == 5 && digits[(kept + 1)...].contains { $0 > 0 })
    let isTie = digits[kept] == 5 && !isAbove
    guard isAbove || (isTie && !result[kept - 1].isMultiple(of: 2)) else { return (result, 0) }
    var index = kept - 1
    while index >= 0, result[index] == 9 {
      result[index] = 0
      index -= 1
    }
    guard index >= 0 else { return ([1] + result.dropLast(), 1) }
    result[index] += 1
    return (result, 0)
  }
}

/// A natural number in base 10^9, lowest first, that can be multiplied.
private struct BigDecimal {
  private var limbs: [UInt32]

  init(_ value: UInt64) {
    limbs = []
    var rest = value
    repeat {
      limbs.append(UInt32(rest % 1_000_000_000))
      rest /= 1_000_000_000
    } while rest > 0
  }

  mutating func multiply(by factor: UInt64) {
    var carry: UInt64 = 0
    for index in limbs.indices {
      let product = UInt64(limbs[index]) * factor + carry
      limbs[index] = UInt32(product % 1_000_000_000)
      carry = product / 1_000_000_000
    }
    while carry > 0 {
      limbs.append(UInt32(carry % 1_000_000_000))
      carry /= 1_000_000_000
    }
  }

  /// Decimal digits, highest first, without leading zeros.
  var digits: [UInt8] {
    var result: [UInt8] = []
    for limb in limbs.reversed() {
      let text = String(limb).utf8.map { $0 - 0x30 }
      if !result.isEmpty { result += [UInt8](repeating: 0, count: 9 - text.count) }
      result += text
    }
    return result
  }
}
