/// One number per channel that says how much it matters, kept bit for bit in the type it came in.
///
/// Order: layer, KV head, channel. Larger is more important. No value is NaN, and zero is +0.
public struct ImportanceScores: Sendable, Hashable {
  /// Storage type of one score.
  public enum Scalar: String, Sendable, Hashable, CaseIterable {
    case f32, f16, bf16

    /// Bytes of one score.
    public var size: Int { self == .f32 ? 4 : 2 }
  }

  /// LeanK's learned scaling factors, each in 0...1.
  public static let alphaKind = "leank.alpha"

  /// What the numbers are; `leank.alpha`, or any other name of 1 to 255 visible ASCII characters.
  public let kind: String
  public let scalar: Scalar
  /// The bit patterns, widened to 32 bits.
  public let bits: [UInt32]

  public var count: Int { bits.count }

  /// Fails on a NaN, on an alpha outside 0...1, on a 16-bit pattern that has more bits, and on a
  /// kind that is no name. Negative zero becomes zero.
  public init(kind: String, scalar: Scalar, bits: [UInt32]) throws(MaskError) {
    guard (1...255).contains(kind.utf8.count), kind.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else {
      throw MaskError(.scores, "kind of scores is not 1 to 255 visible ASCII characters")
    }
    var canonical = bits
    let negativeZero: UInt32 = scalar == .f32 ? 0x8000_0000 : 0x8000
    let isAlpha = kind == Self.alphaKind
    for (index, pattern) in bits.enumerated() {
      if pattern == negativeZero { canonical[index] = 0 }
      try Self.check(pattern, at: index, as: scalar, isAlpha: isAlpha)
    }
    self.kind = kind
    self.scalar = scalar
    self.bits = canonical
  }

  /// Fails where `pattern` can be no score, the one at `index`; for scores that are checked before
  /// there is memory for all.
  public static func check(
    _ pattern: UInt32, at index: Int, as scalar: Scalar, isAlpha: Bool
  ) throws(MaskError) {
    guard scalar == .f32 || pattern <= 0xFFFF else {
      throw MaskError(.scores, "score \(index) is not a 16-bit pattern")
    }
    let value = value(of: pattern, as: scalar)
    guard !value.isNaN else { throw MaskError(.scores, "score \(index) is NaN") }
    guard !isAlpha || (0...1).contains(value) else {
      throw MaskError(.scores, "score \(index) is \(value), outside 0...1 of \(alphaKind)")
    }
  }

  /// Scores held as f32.
  public init(kind: String, values: [Float]) throws(MaskError) {
    try self.init(kind: kind, scalar: .f32, bits: values.map(\.bitPattern))
  }

  /// Score of the channel at `index` in layer, head, channel order; widening is exact.
  public subscript(index: Int) -> Float { Self.value(of: bits[index], as: scalar) }

  /// All scores, widened exactly.
  public var values: [Float] { bits.map { Self.value(of: $0, as: scalar) } }

  private static func value(of pattern: UInt32, as scalar: Scalar) -> Float {
    switch scalar {
    case .f32: Float(bitPattern: pattern)
    case .bf16: Float(bitPattern: pattern << 16)
    case .f16: widenHalf(pattern)
    }
  }

  /// IEEE binary16 to binary32 in integers: `Float16` does not exist on Intel Macs.
  private static func widenHalf(_ pattern: UInt32) -> Float {
    let sign = (pattern & 0x8000) << 16
    let exponent = pattern >> 10 & 0x1F
    let fraction = pattern & 0x3FF
    switch exponent {
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return Float(bitPattern: magnitude.bitPattern | sign)
    case 0x1F: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}
