import ByteIO
import Crypto

/// Identity of what a file says: SHA-256 over its sections' tags, flags, lengths and uncompressed
/// bytes. Equal content has equal ids, however it was compressed.
public struct ContentID: Sendable, Hashable, CustomStringConvertible {
  public static let size = 32

  /// `size` bytes.
  public let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The id written as `hex` shows it; nil for other text.
  public init?(hex: String) {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in hex.utf8 {
      let digit: UInt8
      switch character {
      case 0x30...0x39: digit = character - 0x30
      case 0x61...0x66: digit = character - 0x61 + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    guard high == nil, bytes.count == Self.size else { return nil }
    self.bytes = bytes
  }

  /// 64 lower-case hexadecimal digits.
  public var hex: String { hexadecimal(bytes) }

  public var description: String { hex }
}

/// Hashes sections in file order into a content id.
struct ContentHasher {
  private var hash = SHA256()

  mutating func add(_ tag: SectionTag, _ flags: SectionFlags, _ raw: [UInt8]) {
    var prefix = tag.characters + [flags.rawValue, 0, 0, 0]
    let length = UInt64(raw.count)
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      prefix.append(UInt8(truncatingIfNeeded: length >> shift))
    }
    hash.update(data: prefix)
    hash.update(data: raw)
  }

  func finish() -> ContentID { ContentID(bytes: Array(hash.finalize())) }
}
