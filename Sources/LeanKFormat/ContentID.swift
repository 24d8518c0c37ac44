import ByteIO
import Crypto

/// Identity of what a file says: SHA-256 over its sections' tags, flags, instances, lengths and
/// digests. Equal content has equal ids, however it was compressed.
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

extension ContentID {
  /// The id of the file that has `entries`, as they stand in it.
  init(of entries: [SectionEntry]) {
    var hash = SHA256()
    for entry in entries { hash.update(data: entry.logicalBytes) }
    bytes = Array(hash.finalize())
  }

  /// The identity of one mask: the id of the file that holds it alone.
  init(of entries: [SectionEntry], instance: Int) {
    self.init(
      of: entries.compactMap { entry in
        guard entry.serves(instance: instance, of: entries) else { return nil }
        var alone = entry
        alone.instance = 0
        return alone
      })
  }
}

/// SHA-256 of a section's content.
func contentDigest(_ raw: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: raw)) }
