import ByteIO
import Zlib

/// The directory of a zip archive that has one meaning only.
///
/// The central directory is the truth; each local header has to agree with it, and members, local
/// headers and the directory have to cover the file without gap or overlap, from byte 0 to the end.
/// Two readers of such a file cannot see different things in it.
struct ZipArchive: Sendable {
  /// One member, its data checked to lie in the file.
  struct Entry: Sendable {
    let name: String
    let isDeflated: Bool
    let crc: UInt32
    /// Bytes of the member as it is stored.
    let data: Range<Int>
    /// Bytes of the member once inflated.
    let size: Int
  }

  /// Members by position in the file.
  let entries: [Entry]

  /// Parses the directory of `bytes`. `expected` names the format in the error for other files.
  init(
    parsing bytes: Span<UInt8>, expected: String, limits: TensorFileLimits
  ) throws(TensorFileError) {
    guard bytes.starts(with: ZipRecord.local) else {
      if bytes.starts(with: ZipRecord.end) {
        throw TensorFileError(.zipStructure, "zip archive without members", at: .byte(0))
      }
      throw .notA(expected, bytes)
    }
    let end = try ZipEnd(parsing: bytes, limits: limits)
    let records = try ZipDirectory.records(of: end, in: bytes, limits: limits)
    var entries: [Entry] = []
    var names: Set<UTF8Name> = []
    var position = 0
    for record in records.sorted(by: { $0.offset < $1.offset }) {
      guard record.offset == position else {
        let problem = record.offset < position ? "overlap" : "leave a gap"
        throw TensorFileError(
          .zipStructure, "zip members \(problem): expected a local header at \(position)",
          at: .byte(record.offset))
      }
      guard names.insert(UTF8Name(record.name)).inserted else {
        throw TensorFileError(
          .zipName, "zip member \(quoted(record.name)) appears twice", at: .byte(record.offset))
      }
      let data = try ZipLocalHeader.data(of: record, before: end.directory.lowerBound, in: bytes)
      entries.append(
        Entry(
          name: record.name, isDeflated: record.isDeflated, crc: record.crc, data: data.range,
          size: record.size))
      position = data.next
    }
    guard position == end.directory.lowerBound else {
      throw TensorFileError(
        .zipStructure, "bytes between the last zip member and the central directory",
        at: .byte(position))
    }
    self.entries = entries
  }

  /// Where the content of `entry` is: in the file itself, or inflated. Its CRC has been checked.
  ///
  /// `budget` is what inflating may still cost and pays for this member.
  func content(
    of entry: Entry, in bytes: Span<UInt8>, budget: inout Int
  ) throws(TensorFileError) -> Content {
    guard entry.isDeflated else {
      try check(CRC32.of(bytes.extracting(entry.data)), of: entry)
      return .stored(entry.data)
    }
    guard entry.size <= budget else {
      throw TensorFileError(
        .limit,
        "zip member inflates to \(entry.size) bytes, \(budget) more are allowed: store it instead",
        at: .key(entry.name))
    }
    budget -= entry.size
    let inflated: [UInt8]
    do throws(ZlibError) {
      inflated = try Deflate.inflate(bytes.extracting(entry.data), count: entry.size)
    } catch {
      throw TensorFileError(.zipDeflate, error.detail, at: .key(entry.name))
    }
    try check(CRC32.of(inflated.span), of: entry)
    return .inflated(inflated)
  }

  private func check(_ crc: UInt32, of entry: Entry) throws(TensorFileError) {
    guard crc == entry.crc else {
      throw TensorFileError(
        .zipChecksum,
        "CRC-32 of the member is \(String(crc, radix: 16)), the directory says "
          + String(entry.crc, radix: 16), at: .key(entry.name))
    }
  }

  /// A member's bytes, wherever they are.
  enum Content: Sendable {
    case stored(Range<Int>)
    case inflated([UInt8])

    var count: Int {
      switch self {
      case .stored(let range): range.count
      case .inflated(let bytes): bytes.count
      }
    }
  }
}

/// Signatures of zip records.
enum ZipRecord {
  static let local: [UInt8] = [0x50, 0x4B, 3, 4]
  static let central: [UInt8] = [0x50, 0x4B, 1, 2]
  static let end: [UInt8] = [0x50, 0x4B, 5, 6]
  static let end64: [UInt8] = [0x50, 0x4B, 6, 6]
  static let locator64: [UInt8] = [0x50, 0x4B, 6, 7]
  static let descriptor: [UInt8] = [0x50, 0x4B, 7, 8]

  /// The two 64-bit sizes, offset and disk that extra field 1 holds for each 32-bit field that is
  /// all ones, in this order; other extra fields are padding here.
  static func zip64(
    _ extra: Range<Int>, in bytes: Span<UInt8>, at record: Int
  ) throws(TensorFileError) -> ByteCursor? {
    var found: ByteCursor?
    var cursor = ByteCursor(at: extra.lowerBound)
    let fields = bytes.extracting(0..<extra.upperBound)
    while cursor.offset < extra.upperBound {
      guard let tag = cursor.uint16(in: fields), let size = cursor.uint16(in: fields) else {
        throw TensorFileError(.zipStructure, "zip extra field is cut short", at: .byte(record))
      }
      let start = cursor.offset
      guard cursor.range(Int(size), in: fields) != nil else {
        throw TensorFileError(
          .zipStructure, "zip extra field of \(size) bytes is cut short", at: .byte(record))
      }
      if tag == 1 {
        guard found == nil else {
          throw TensorFileError(.zipStructure, "zip64 extra field appears twice", at: .byte(record))
        }
        found = ByteCursor(at: start)
      }
    }
    return found
  }

  /// `value`, or the 64-bit number from the extra field where `value` is all ones.
  static func widen(
    _ value: UInt32, from extra: inout ByteCursor?, in bytes: Span<UInt8>, at record: Int
  ) throws(TensorFileError) -> Int {
    guard value == .max else { return Int(value) }
    guard let wide = extra?.uint64(in: bytes), let result = Int(exactly: wide) else {
      throw TensorFileError(
        .zipStructure, "zip64 size or offset is missing or does not fit", at: .byte(record))
    }
    return result
  }
}
