import ByteIO
import Zlib
import Zstd

/// The sections of a file, out of their container: verified, decompressed, not yet understood.
struct Container: Sendable {
  var header: FormatHeader
  var table: SectionTable
  /// Uncompressed bytes, one element a table entry.
  var contents: [[UInt8]] = []
  /// What the geometry section says, needed to know how long others have to be.
  var shape = MaskShape()

  /// Takes the container apart; when this returns, lengths, checksums and the content id hold.
  init(parsing bytes: Span<UInt8>, limits: FormatLimits) throws(FormatError) {
    header = try FormatHeader(parsing: bytes, limits: limits)
    table = try SectionTable(parsing: bytes, header: header, limits: limits)
    for entry in table.entries
    where CRC32.of(bytes.extracting(entry.range)) != entry.checksum {
      throw FormatError(
        .sectionChecksum, "section \(entry.tag) does not match its checksum",
        at: .byte(entry.offset))
    }
    var hasher = ContentHasher()
    for entry in table.entries {
      try entry.checkLength(shape: shape, limits: limits)
      let raw = try Self.content(of: entry, in: bytes)
      if entry.tag == .geometry { shape = try MaskShape(parsing: raw.span, limits: limits) }
      hasher.add(entry.tag, entry.flags, raw)
      contents.append(raw)
    }
    guard hasher.finish() == header.contentID else {
      throw FormatError(
        .contentID, "content does not have the content_id of the header", at: .byte(28))
    }
  }

  /// The uncompressed bytes of the section `tag`, nil where there is none.
  subscript(tag: SectionTag) -> [UInt8]? {
    table.entries.firstIndex { $0.tag == tag }.map { contents[$0] }
  }

  private static func content(
    of entry: SectionEntry, in bytes: Span<UInt8>
  ) throws(FormatError) -> [UInt8] {
    switch entry.codec {
    case .raw: return bytes.copy(entry.range)
    case .zstd:
      do throws(ZstdError) {
        return try Zstd.decompress(bytes.extracting(entry.range), count: entry.rawLength)
      } catch {
        throw FormatError(error, tag: entry.tag, offset: entry.offset)
      }
    }
  }

  /// The bytes of a file with `sections`, which stand in their order.
  static func encode(
    _ sections: [(tag: SectionTag, flags: SectionFlags, raw: [UInt8])]
  ) throws(FormatError) -> [UInt8] {
    var hasher = ContentHasher()
    var entries: [SectionEntry] = []
    var stored: [[UInt8]] = []
    var end = FormatHeader.size + SectionTable.size(of: sections.count)
    for (tag, flags, raw) in sections {
      hasher.add(tag, flags, raw)
      let (codec, bytes) = try compressed(raw, tag: tag)
      let offset = (end + 7) & ~7
      entries.append(
        SectionEntry(
          tag: tag, flags: flags, codec: codec, offset: offset, storedLength: bytes.count,
          rawLength: raw.count, checksum: CRC32.of(bytes.span)))
      stored.append(bytes)
      end = offset + bytes.count
    }
    let header = FormatHeader(
      fileLength: end, sectionCount: sections.count, contentID: hasher.finish())
    var writer = ByteWriter()
    writer.append(contentsOf: header.encoded())
    for entry in entries { entry.append(to: &writer) }
    let table = writer.bytes[FormatHeader.size...]
    writer.append(CRC32.of(table.span))
    writer.append(UInt32(0))
    for bytes in stored {
      writer.pad(to: 8)
      writer.append(contentsOf: bytes)
    }
    return writer.bytes
  }

  /// A zstd frame where that is shorter, else the bytes themselves.
  private static func compressed(
    _ raw: [UInt8], tag: SectionTag
  ) throws(FormatError) -> (SectionCodec, [UInt8]) {
    do throws(ZstdError) {
      let frame = try Zstd.compress(raw.span)
      return frame.count < raw.count ? (.zstd, frame) : (.raw, raw)
    } catch {
      throw FormatError(error, tag: tag, offset: 0)
    }
  }
}
