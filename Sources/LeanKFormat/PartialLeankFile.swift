import ByteIO
public import LeanKMask

/// A part of a `.leank` file: its table, and one mask with what was asked for beside it.
///
/// This is the specification's partial reader, for files that lie behind a network: it fetches the
/// front of the file and then the sections it needs, and they are as good as a whole file's, since the
/// content id covers their digests. What it did not fetch may be damaged.
public struct PartialLeankFile: Sendable, Hashable {
  /// What to read beside geometry and mask.
  public struct Parts: OptionSet, Sendable, Hashable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let alignment = Parts(rawValue: 1)
    public static let scores = Parts(rawValue: 2)
    public static let deployment = Parts(rawValue: 4)
    public static let provenance = Parts(rawValue: 8)

    fileprivate func wants(_ tag: SectionTag) -> Bool {
      switch tag {
      case .geometry, .mask: true
      case .alignment: contains(.alignment)
      case .scores: contains(.scores)
      case .deployment: contains(.deployment)
      case .provenance: contains(.provenance)
      default: false
      }
    }
  }

  /// The mask, with those of the parts that the file has and this version understands.
  public let document: MaskDocument
  /// The mask's identity, computed from the table.
  public let identity: ContentID
  public let contentID: ContentID
  public let sections: [SectionSummary]

  /// Bytes that hold the header and any table.
  public static let frontSize = FormatHeader.size + SectionTable.size(of: 64)

  /// Reads mask `instance` and the sections `parts` of a file of `byteCount` bytes.
  ///
  /// `fetch` gives the bytes of a range of the file; the first range begins at 0 and has `frontSize`
  /// bytes, or all. Fails with what `fetch` throws, with `.truncated` where it gives other than it was
  /// asked for, with `.instance` where the file has no such mask, and as a whole file does.
  public init(
    byteCount: Int, instance: Int = 0, parts: Parts = [], limits: FormatLimits = .default,
    fetch: (Range<Int>) throws -> [UInt8]
  ) throws {
    func fetched(_ range: Range<Int>) throws -> [UInt8] {
      let bytes = try fetch(range)
      guard bytes.count == range.count else {
        throw FormatError(
          .truncated, "\(bytes.count) bytes in place of \(range.count)",
          at: .byte(range.lowerBound))
      }
      return bytes
    }
    let front = try fetched(0..<min(byteCount, Self.frontSize))
    let header = try FormatHeader(parsing: front.span, byteCount: byteCount, limits: limits)
    try SectionTable.checkEnd(header)
    let table = try SectionTable(parsing: front.span, header: header, limits: limits)
    guard instance >= 0, instance < table.instances else {
      throw FormatError(
        .instance, "no mask \(instance), the file has \(table.instances), from 0 on")
    }
    let wanted = table.entries.filter { entry in
      parts.wants(entry.tag) && entry.serves(instance: instance, of: table.entries)
    }
    var stored: [[UInt8]] = []
    for entry in wanted {
      let bytes =
        entry.range.upperBound <= front.count
        ? Array(front[entry.range]) : try fetched(entry.range)
      try SectionContents.verify(bytes.span, entry)
      stored.append(bytes)
    }
    var contents = SectionContents(limits: limits)
    for (entry, bytes) in zip(wanted, stored) { try contents.add(entry, stored: bytes.span) }
    guard let document = contents.document(instance, of: table) else {
      throw FormatError(.missingSection, "section MASK of instance \(instance) is missing")
    }
    self.document = document
    identity = ContentID(of: table.entries, instance: instance)
    contentID = header.contentID
    sections = table.entries.map(SectionSummary.init)
  }
}
