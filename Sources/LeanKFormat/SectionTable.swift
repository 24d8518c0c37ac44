import ByteIO
import Zlib

/// One entry of the section table, 40 bytes.
struct SectionEntry: Sendable, Hashable {
  static let size = 40

  var tag: SectionTag
  var flags: SectionFlags
  var codec: SectionCodec
  var offset: Int
  var storedLength: Int
  var rawLength: Int
  var checksum: UInt32

  /// Where the section lies in the file.
  var range: Range<Int> { offset..<offset + storedLength }

  func append(to writer: inout ByteWriter) {
    writer.append(tag.code)
    writer.append(flags.rawValue)
    writer.append(codec.rawValue)
    writer.append(UInt16(0))
    writer.append(UInt64(offset))
    writer.append(UInt64(storedLength))
    writer.append(UInt64(rawLength))
    writer.append(checksum)
    writer.append(UInt32(0))
  }
}

/// All entries of a file, checked against each other and against the file's length.
struct SectionTable: Sendable, Hashable {
  private(set) var entries: [SectionEntry] = []

  /// Bytes of a table of `count` entries: the entries, their checksum and four zero bytes.
  static func size(of count: Int) -> Int { count * SectionEntry.size + 8 }

  /// Reads the table behind `header`; sections are known to lie in the file, without overlap, gap or
  /// stray bytes, when this returns.
  init(
    parsing bytes: Span<UInt8>, header: FormatHeader, limits: FormatLimits
  ) throws(FormatError) {
    let start = FormatHeader.size
    let end = start + Self.size(of: header.sectionCount)
    guard end <= bytes.count else {
      throw FormatError(
        .sectionLayout,
        "table of \(header.sectionCount) sections ends at byte \(end), the file at \(bytes.count)",
        at: .byte(24))
    }
    guard CRC32.of(bytes.extracting(start..<end - 8)) == bytes.littleEndian(at: end - 8) as UInt32
    else {
      throw FormatError(
        .tableChecksum, "section table does not match its checksum", at: .byte(end - 8))
    }
    guard bytes.littleEndian(at: end - 4) as UInt32 == 0 else {
      throw FormatError(.reserved, "bytes behind table_crc32 are not zero", at: .byte(end - 4))
    }
    var reader = EntryReader(position: end, limits: limits)
    for index in 0..<header.sectionCount {
      entries.append(try reader.entry(at: start + index * SectionEntry.size, in: bytes))
    }
    for tag in [SectionTag.geometry, .mask] where !entries.contains(where: { $0.tag == tag }) {
      throw FormatError(.missingSection, "section \(tag) is missing", at: .byte(start))
    }
    guard reader.position == bytes.count else {
      throw FormatError(
        .trailingBytes, "\(bytes.count - reader.position) bytes behind the last section",
        at: .byte(reader.position))
    }
  }

  /// Reads entries in order and knows where the next section has to begin.
  private struct EntryReader {
    /// First byte that no section has claimed.
    var position: Int
    let limits: FormatLimits
    var previous: SectionTag?
    var rawTotal = 0

    mutating func entry(at start: Int, in bytes: Span<UInt8>) throws(FormatError) -> SectionEntry {
      let tag = SectionTag(code: bytes.littleEndian(at: start))
      guard tag.isLegal else {
        throw FormatError(
          .sectionTag, "tag \(tag) is not an upper-case letter and three letters or digits",
          at: .byte(start))
      }
      let flags = SectionFlags(rawValue: bytes[start + 4])
      if tag.isKnown {
        guard flags == .required(for: tag) else {
          throw FormatError(
            .sectionFlags,
            "section \(tag) has flags \(flags.rawValue), expected "
              + "\(SectionFlags.required(for: tag).rawValue)", at: .byte(start + 4))
        }
      } else {
        guard flags.rawValue <= 3 else {
          throw FormatError(
            .sectionFlags,
            "section \(tag) has flags \(flags.rawValue), of which only 1 and 2 exist",
            at: .byte(start + 4))
        }
        guard !flags.contains(.critical) else {
          throw FormatError(
            .unknownCriticalSection,
            "section \(tag) is critical and unknown to this leank; a newer one may know it",
            at: .byte(start))
        }
      }
      guard let codec = SectionCodec(rawValue: bytes[start + 5]) else {
        throw FormatError(
          .codec, "section \(tag) has codec \(bytes[start + 5]), known are 0 and 1",
          at: .byte(start + 5))
      }
      guard
        bytes.littleEndian(at: start + 6) as UInt16 == 0,
        bytes.littleEndian(at: start + 36) as UInt32 == 0
      else {
        throw FormatError(
          .reserved, "reserved bytes of section \(tag)'s entry are not zero", at: .byte(start + 6))
      }
      if let previous, previous.rank >= tag.rank {
        throw FormatError(
          .sectionOrder, "section \(tag) stands behind \(previous)", at: .byte(start))
      }
      previous = tag
      let (stored, raw) = try lengths(of: tag, codec, at: start, in: bytes)
      let offset = try place(tag, stored: stored, at: start, in: bytes)
      return SectionEntry(
        tag: tag, flags: flags, codec: codec, offset: offset, storedLength: stored, rawLength: raw,
        checksum: bytes.littleEndian(at: start + 32))
    }

    /// `stored_length` and `raw_length`, within the limits and in the codec's relation.
    private mutating func lengths(
      of tag: SectionTag, _ codec: SectionCodec, at start: Int, in bytes: Span<UInt8>
    ) throws(FormatError) -> (stored: Int, raw: Int) {
      let stored: UInt64 = bytes.littleEndian(at: start + 16)
      let raw: UInt64 = bytes.littleEndian(at: start + 24)
      guard let length = Int(exactly: raw), let total = rawTotal.adding(length),
        total <= limits.rawBytes
      else {
        throw FormatError(
          .limit,
          "raw_length \(raw) of section \(tag) brings the file above \(limits.rawBytes) bytes of "
            + "uncompressed content", at: .byte(start + 24))
      }
      rawTotal = total
      guard codec == .raw ? stored == raw : stored < raw else {
        throw FormatError(
          .sectionLength,
          "section \(tag) stores \(stored) bytes for raw_length \(raw): they must be "
            + (codec == .raw ? "equal with codec 0" : "fewer with codec 1"), at: .byte(start + 16))
      }
      return (Int(stored), length)
    }

    /// `offset`, which has to be the next multiple of 8; padding up to it has to be zero.
    private mutating func place(
      _ tag: SectionTag, stored: Int, at start: Int, in bytes: Span<UInt8>
    ) throws(FormatError) -> Int {
      let found: UInt64 = bytes.littleEndian(at: start + 8)
      let offset = (position + 7) & ~7
      guard found == UInt64(offset) else {
        throw FormatError(
          .sectionLayout, "section \(tag) has offset \(found), expected \(offset)",
          at: .byte(start + 8))
      }
      guard offset <= bytes.count, stored <= bytes.count - offset else {
        throw FormatError(
          .sectionLayout,
          "section \(tag) of \(stored) bytes at \(offset) exceeds the file of \(bytes.count) bytes",
          at: .byte(start + 16))
      }
      for index in position..<offset where bytes[index] != 0 {
        throw FormatError(
          .padding, "padding in front of section \(tag) is not zero", at: .byte(index))
      }
      position = offset + stored
      return offset
    }
  }
}
