import ByteIO

/// Reads the entries of a section table in order and knows where the next section has to begin.
struct EntryReader {
  /// First byte that no section has claimed.
  private(set) var position: Int
  private let fileLength: Int
  private let limits: FormatLimits
  private var previous: SectionEntry?
  private var rawTotal = 0

  init(position: Int, fileLength: Int, limits: FormatLimits) {
    self.position = position
    self.fileLength = fileLength
    self.limits = limits
  }

  /// The entry at `start`. Padding in front of its section is checked as far as `bytes` has it.
  mutating func entry(at start: Int, in bytes: Span<UInt8>) throws(FormatError) -> SectionEntry {
    let tag = SectionTag(code: bytes.littleEndian(at: start))
    guard tag.isLegal else {
      throw FormatError(
        .sectionTag, "tag \(tag) is not an upper-case letter and three letters or digits",
        at: .byte(start))
    }
    let flags = SectionFlags(rawValue: bytes[start + 4])
    try check(flags, of: tag, at: start)
    guard let codec = SectionCodec(rawValue: bytes[start + 5]),
      codec == .raw || tag != .scores
    else {
      throw FormatError(
        .codec,
        "section \(tag) has codec \(bytes[start + 5]), known are 0 and 1, and SCOR has 0",
        at: .byte(start + 5))
    }
    guard bytes.littleEndian(at: start + 36) as UInt32 == 0 else {
      throw FormatError(
        .reserved, "reserved bytes of section \(tag)'s entry are not zero", at: .byte(start + 36))
    }
    var entry = SectionEntry(
      tag: tag, flags: flags, codec: codec,
      instance: Int(bytes.littleEndian(at: start + 6) as UInt16), offset: 0, storedLength: 0,
      rawLength: 0, checksum: bytes.littleEndian(at: start + 32),
      digest: bytes.copy(start + 40..<start + 72))
    if let previous, previous.rank >= entry.rank {
      throw FormatError(
        .sectionOrder,
        "section \(tag) of instance \(entry.instance) stands behind \(previous.tag) of instance "
          + "\(previous.instance)", at: .byte(start))
    }
    (entry.storedLength, entry.rawLength) = try lengths(of: entry, at: start, in: bytes)
    entry.offset = try place(entry, at: start, in: bytes)
    previous = entry
    return entry
  }

  private func check(
    _ flags: SectionFlags, of tag: SectionTag, at start: Int
  ) throws(FormatError) {
    guard !tag.isKnown else {
      guard flags == .required(for: tag) else {
        throw FormatError(
          .sectionFlags,
          "section \(tag) has flags \(flags.rawValue), expected "
            + "\(SectionFlags.required(for: tag).rawValue)", at: .byte(start + 4))
      }
      return
    }
    guard flags.rawValue <= 3 else {
      throw FormatError(
        .sectionFlags, "section \(tag) has flags \(flags.rawValue), of which only 1 and 2 exist",
        at: .byte(start + 4))
    }
    guard !flags.contains(.critical) else {
      throw FormatError(
        .unknownCriticalSection,
        "section \(tag) is critical and unknown to this leank; a newer one may know it",
        at: .byte(start))
    }
  }

  /// `stored_length` and `raw_length`, within the limits and in the codec's relation.
  private mutating func lengths(
    of entry: SectionEntry, at start: Int, in bytes: Span<UInt8>
  ) throws(FormatError) -> (stored: Int, raw: Int) {
    let stored: UInt64 = bytes.littleEndian(at: start + 16)
    let raw: UInt64 = bytes.littleEndian(at: start + 24)
    guard let length = Int(exactly: raw), let total = rawTotal.adding(length),
      total <= limits.rawBytes
    else {
      throw FormatError(
        .limit,
        "raw_length \(raw) of section \(entry.tag) brings the file above \(limits.rawBytes) bytes of "
          + "uncompressed content", at: .byte(start + 24))
    }
    rawTotal = total
    guard entry.codec == .raw ? stored == raw : stored < raw else {
      throw FormatError(
        .sectionLength,
        "section \(entry.tag) stores \(stored) bytes for raw_length \(raw): they must be "
          + (entry.codec == .raw ? "equal with codec 0" : "fewer with codec 1"),
        at: .byte(start + 16))
    }
    return (Int(stored), length)
  }

  /// `offset`, which has to be the next multiple of the section's alignment; padding up to it has to
  /// be zero.
  private mutating func place(
    _ entry: SectionEntry, at start: Int, in bytes: Span<UInt8>
  ) throws(FormatError) -> Int {
    let found: UInt64 = bytes.littleEndian(at: start + 8)
    let offset = entry.tag.aligned(position)
    guard found == UInt64(offset) else {
      throw FormatError(
        .sectionLayout, "section \(entry.tag) has offset \(found), expected \(offset)",
        at: .byte(start + 8))
    }
    guard offset <= fileLength, entry.storedLength <= fileLength - offset else {
      throw FormatError(
        .sectionLayout,
        "section \(entry.tag) of \(entry.storedLength) bytes at \(offset) exceeds the file of "
          + "\(fileLength) bytes", at: .byte(start + 16))
    }
    for index in position..<max(position, min(offset, bytes.count)) where bytes[index] != 0 {
      throw FormatError(
        .padding, "padding in front of section \(entry.tag) is not zero", at: .byte(index))
    }
    position = offset + entry.storedLength
    return offset
  }
}
