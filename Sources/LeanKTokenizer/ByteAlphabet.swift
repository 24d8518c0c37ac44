/// GPT-2's alphabet of bytes: printable ones stand for themselves, the others for characters from
/// U+0100 on, so that every text is written in 256 visible characters.
enum ByteAlphabet {
  /// The UTF-8 of each byte's character: one byte, or two.
  static let characters: [(first: UInt8, second: UInt8?)] = scalars.map { value in
    value < 0x80
      ? (UInt8(value), nil) : (UInt8(0xC0 | value >> 6), UInt8(0x80 | value & 0x3F))
  }

  /// The scalar of each byte.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
      default:
        next += 1
        return next - 1
      }
    }
  }()

  /// The byte of each scalar below U+0144, -1 for those that stand for none.
  private static let bytes: [Int16] = {
    var bytes = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = Int16(byte) }
    return bytes
  }()

  /// The byte that a scalar stands for.
  static func byte(_ scalar: UInt32) -> UInt8? {
    guard scalar < 0x144, bytes[Int(scalar)] >= 0 else { return nil }
    return UInt8(bytes[Int(scalar)])
  }

  /// Appends the characters of `bytes[range]`.
  static func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to text: inout [UInt8]) {
    let characters = characters
    for index in range {
      let (first, second) = characters[Int(bytes[index])]
      text.append(first)
      if let second { text.append(second) }
    }
  }

  /// What GPT-2 takes for words.
  static let pattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
}
