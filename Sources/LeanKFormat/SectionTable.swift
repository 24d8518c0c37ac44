import ByteIO
import Zlib

/// One entry of the section table, 72 bytes.
struct SectionEntry: Sendable, Hashable {
  static let size = 72

  var tag: SectionTag
  var flags: SectionFlags
  var codec: SectionCodec
  /// The mask that the section belongs to.
  var instance: Int
  var offset: Int
  var storedLength: Int
  var rawLength: Int
  var checksum: UInt32
  /// SHA-256 of the uncompressed bytes.
  var digest: [UInt8]

  /// Where the section lies in the file.
  var range: Range<Int> { offset..<offset + storedLength }

  /// Where it stands among the others: by tag, then by instance.
  var rank: (UInt64, Int) { (tag.rank, instance) }

  /// The 48 bytes that a content id covers.
  var logicalBytes: [UInt8] {
    var writer = ByteWriter()
    writer.append(tag.code)
    writer.append(flags.rawValue)
    writer.append(UInt8(0))
    writer.append(UInt16(clamping: instance))
    writer.append(UInt64(rawLength))
    writer.append(contentsOf: digest)
    return writer.bytes
  }

  func append(to writer: inout ByteWriter) {
    writer.append(tag.code)
    writer.append(flags.rawValue)
    writer.append(codec.rawValue)
    writer.append(UInt16(clamping: instance))
    writer.append(UInt64(offset))
    writer.append(UInt64(storedLength))
    writer.append(UInt64(rawLength))
    writer.append(checksum)
    writer.append(UInt32(0))
    writer.append(contentsOf: digest)
  }

  /// Whether the file that holds mask `instance` alone has this section of `entries`.
  func serves(instance: Int, of entries: [SectionEntry]) -> Bool {
    if tag == .geometry { return true }
    guard tag.isKnown else { return self.instance == instance && flags.contains(.safeToCopy) }
    return self.instance == instance
      || self.instance == 0 && tag.isShared
        && !entries.contains { $0.tag == tag && $0.instance == instance }
  }
}

/// All entries of a file, checked against each other and against the file's length.
struct SectionTable: Sendable, Hashable {
  private(set) var entries: [SectionEntry] = []

  /// Number of masks.
  var instances: Int { entries.count { $0.tag == .mask } }

  /// Bytes of a table of `count` entries: the entries, their checksum and four zero bytes.
  static func size(of count: Int) -> Int { count * SectionEntry.size + 8 }

  /// Fails where the table behind `header` does not end within the file; then `parsing` may be called.
  static func checkEnd(_ header: FormatHeader) throws(FormatError) {
    let end = FormatHeader.size + size(of: header.sectionCount)
    guard end <= header.fileLength else {
      throw FormatError(
        .sectionLayout,
        "table of \(header.sectionCount) sections ends at byte \(end), the file at "
          + "\(header.fileLength)", at: .byte(24))
    }
  }

  /// Reads the table behind `header`; sections are known to lie in the file, without overlap, gap or
  /// stray bytes, and to be those of the content id, when this returns. `bytes` is the file's front up
  /// to the table's end at least; padding is checked as far as it goes.
  init(
    parsing bytes: Span<UInt8>, header: FormatHeader, limits: FormatLimits
  ) throws(FormatError) {
    let start = FormatHeader.size
    let end = start + Self.size(of: header.sectionCount)
    guard CRC32.of(bytes.extracting(start..<end - 8)) == bytes.littleEndian(at: end - 8) as UInt32
    else {
      throw FormatError(
        .tableChecksum, "section table does not match its checksum", at: .byte(end - 8))
    }
    guard bytes.littleEndian(at: end - 4) as UInt32 == 0 else {
      throw FormatError(.reserved, "bytes behind table_crc32 are not zero", at: .byte(end - 4))
    }
    var reader = EntryReader(position: end, fileLength: header.fileLength, limits: limits)
    for index in 0..<header.sectionCount {
      entries.append(try reader.entry(at: start + index * SectionEntry.size, in: bytes))
    }
    try checkInstances()
    guard reader.position == header.fileLength else {
      throw FormatError(
        .trailingBytes, "\(header.fileLength - reader.position) bytes behind the last section",
        at: .byte(reader.position))
    }
    guard ContentID(of: entries) == header.contentID else {
      throw FormatError(
        .contentID, "sections do not have the content_id of the header", at: .byte(28))
    }
  }

  /// There is a geometry and a mask, every section belongs to a mask, and none repeats the main mask's.
  private func checkInstances() throws(FormatError) {
    for tag in [SectionTag.geometry, .mask] where !entries.contains(where: { $0.tag == tag }) {
      throw FormatError(
        .missingSection, "section \(tag) is missing", at: .byte(FormatHeader.size))
    }
    let masks = instances
    var next = 0
    for (index, entry) in entries.enumerated() {
      let isLegal: Bool
      switch entry.tag {
      case .geometry: isLegal = entry.instance == 0
      case .mask:
        isLegal = entry.instance == next
        next += 1
      default: isLegal = entry.instance < masks
      }
      guard isLegal else {
        throw FormatError(
          .instance,
          "section \(entry.tag) is of instance \(entry.instance), the file has \(masks) masks, from 0 on",
          at: .byte(FormatHeader.size + index * SectionEntry.size + 6))
      }
    }
    for (index, entry) in entries.enumerated() where entry.instance > 0 && entry.tag.isShared {
      let main = entries.first { $0.tag == entry.tag && $0.instance == 0 }
      guard main?.digest != entry.digest else {
        throw FormatError(
          .redundantSection,
          "section \(entry.tag) of instance \(entry.instance) is that of instance 0 once more",
          at: .byte(FormatHeader.size + index * SectionEntry.size))
      }
    }
  }
}
