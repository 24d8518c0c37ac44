public import ByteIO
public import LeanKMask

/// What a `.leank` file holds, every byte of it verified.
public struct LeankFile: Sendable, Hashable {
  public let document: MaskDocument
  /// Sections that this version does not know, in file order.
  public let unknownSections: [UnknownSection]
  public let contentID: ContentID
  /// The section table.
  public let sections: [SectionSummary]
  public let version: FormatVersion
  public let byteCount: Int

  /// Reads a whole file. There is no lenient mode: a file that deviates from the specification in
  /// one bit is refused, with a code that names the rule.
  public init(parsing bytes: Span<UInt8>, limits: FormatLimits = .default) throws(FormatError) {
    let container = try Container(parsing: bytes, limits: limits)
    let shape = container.shape
    let bits = container[.mask] ?? []
    let mask = try MaskSection.decode(bits.span, shape: shape)
    var alignment: Alignment?
    if let raw = container[.alignment] {
      alignment = try AlignmentSection.decode(raw.span, mask: mask, limits: limits)
    }
    var scores: ImportanceScores?
    if let raw = container[.scores] {
      scores = try ScoresSection.decode(raw.span, channels: shape.channels)
    }
    var deployment: DeploymentHints?
    if let raw = container[.deployment] { deployment = try DeploymentSection.decode(raw.span) }
    var provenance = Provenance()
    if let raw = container[.provenance] {
      provenance = try ProvenanceSection.decode(raw.span, limits: limits)
    }
    var document = MaskDocument(
      unscored: mask, alignment: alignment, deployment: deployment, provenance: provenance)
    // their section has been refused unless it holds one number a channel
    document.scores = scores
    self.document = document
    let entries = container.table.entries
    unknownSections = zip(entries, container.contents).compactMap { entry, raw in
      entry.tag.isKnown ? nil : UnknownSection(tag: entry.tag, flags: entry.flags, bytes: raw)
    }
    contentID = container.header.contentID
    sections = entries.map(SectionSummary.init)
    version = container.header.version
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

// MARK: - Writing

extension LeankFile {
  /// The bytes of a file that holds `document`, and what a reader finds in them.
  ///
  /// Of `previous`, the file that the new one takes the place of, those unknown sections are carried
  /// along that are marked safe to copy, provided the mask is the same. Fails with `.limit` or the
  /// code of a section when `document` holds what no file may hold. The result has been read back.
  public static func encode(
    _ document: MaskDocument, replacing previous: LeankFile? = nil, includingProvenance: Bool = true
  ) throws(FormatError) -> (bytes: [UInt8], file: LeankFile) {
    var sections: [(tag: SectionTag, flags: SectionFlags, raw: [UInt8])] = []
    func add(_ tag: SectionTag, _ raw: [UInt8]) {
      sections.append((tag, .required(for: tag), raw))
    }
    add(.geometry, MaskShape(of: document.mask).encoded())
    add(.mask, MaskSection.encode(document.mask))
    if let alignment = document.alignment {
      add(.alignment, AlignmentSection.encode(alignment, mask: document.mask))
    }
    if let scores = document.scores { add(.scores, ScoresSection.encode(scores)) }
    if let deployment = document.deployment {
      add(.deployment, DeploymentSection.encode(deployment))
    }
    if includingProvenance, !document.provenance.isEmpty {
      add(.provenance, ProvenanceSection.encode(document.provenance))
    }
    if let previous, previous.document.mask == document.mask {
      for section in previous.unknownSections where section.isSafeToCopy {
        sections.append((section.tag, section.flags, section.bytes))
      }
    }
    let bytes = try Container.encode(sections)
    return (bytes, try LeankFile(bytes))
  }

  /// The bytes of a file with this file's content, as this version writes it.
  public func encoded(includingProvenance: Bool = true) throws(FormatError) -> [UInt8] {
    try Self.encode(document, replacing: self, includingProvenance: includingProvenance).bytes
  }
}
