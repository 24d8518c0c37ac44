public import ByteIO
public import LeanKMask

/// What a `.leank` file holds, every byte of it verified: one or more masks of one geometry.
public struct LeankFile: Sendable, Hashable {
  /// The masks by instance, at least one. Scores and provenance of the first serve those that have
  /// none of their own.
  public let instances: [MaskDocument]
  /// By instance: the content id of the file that holds the mask alone, which is what other files use
  /// to refer to it.
  public let identities: [ContentID]
  /// Sections that this version does not know or does not understand, in file order.
  public let opaqueSections: [OpaqueSection]
  public let contentID: ContentID
  /// The section table.
  public let sections: [SectionSummary]
  public let version: FormatVersion
  public let byteCount: Int

  /// The main mask, instance 0.
  public var document: MaskDocument { instances[0] }

  /// Reads a whole file. There is no lenient mode: a file that deviates from the specification in
  /// one bit is refused, with a code that names the rule.
  public init(parsing bytes: Span<UInt8>, limits: FormatLimits = .default) throws(FormatError) {
    let header = try FormatHeader(parsing: bytes, byteCount: bytes.count, limits: limits)
    try SectionTable.checkEnd(header)
    let table = try SectionTable(parsing: bytes, header: header, limits: limits)
    for entry in table.entries {
      try SectionContents.verify(bytes.extracting(entry.range), entry)
    }
    var contents = SectionContents(limits: limits)
    for entry in table.entries {
      try contents.add(entry, stored: bytes.extracting(entry.range))
    }
    instances = (0..<table.instances).compactMap { contents.document($0, of: table) }
    identities = instances.indices.map { ContentID(of: table.entries, instance: $0) }
    opaqueSections = contents.opaque
    contentID = header.contentID
    sections = table.entries.map(SectionSummary.init)
    version = header.version
    byteCount = bytes.count
  }

  /// Reads an array of bytes and says of which file in an error.
  public init(
    _ bytes: [UInt8], path: String? = nil, limits: FormatLimits = .default
  ) throws(FormatError) {
    do throws(FormatError) {
      try self.init(parsing: bytes.span, limits: limits)
    } catch {
      throw path.map { error.located(in: $0) } ?? error
    }
  }
}
