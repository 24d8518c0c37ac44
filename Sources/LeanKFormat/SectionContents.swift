import ByteIO
import LeanKMask
import Zlib
import Zstd

/// What sections say: each is verified, decompressed and read in the order of the table.
struct SectionContents: Sendable {
  /// What the geometry section says, needed to know how long others have to be.
  private(set) var shape = MaskShape()
  /// By instance, as the other sections are.
  private(set) var masks: [Int: ChannelMask] = [:]
  private var alignments: [Int: Alignment] = [:]
  private var scores: [Int: ImportanceScores] = [:]
  private var deployments: [Int: DeploymentHints] = [:]
  private var provenances: [Int: Provenance] = [:]
  /// Sections that this version does not know or does not understand, in table order.
  private(set) var opaque: [OpaqueSection] = []

  private let limits: FormatLimits

  init(limits: FormatLimits) { self.limits = limits }

  /// Fails where `stored` is not what `entry` has the checksum of.
  static func verify(_ stored: Span<UInt8>, _ entry: SectionEntry) throws(FormatError) {
    guard CRC32.of(stored) == entry.checksum else {
      throw FormatError(
        .sectionChecksum, "section \(entry.tag) does not match its checksum",
        at: .byte(entry.offset))
    }
  }

  /// Reads the section of `entry` out of its stored bytes.
  mutating func add(_ entry: SectionEntry, stored: Span<UInt8>) throws(FormatError) {
    try entry.checkLength(shape: shape, limits: limits)
    let raw = try Self.content(of: entry, stored)
    guard contentDigest(raw) == entry.digest else {
      throw FormatError(
        .sectionDigest, "section \(entry.tag) does not have its content_sha256",
        at: .byte(entry.offset))
    }
    guard try understand(entry, raw) else {
      opaque.append(
        OpaqueSection(tag: entry.tag, flags: entry.flags, instance: entry.instance, bytes: raw))
      return
    }
  }

  /// Takes what the content says; false where this version does not know.
  private mutating func understand(
    _ entry: SectionEntry, _ raw: [UInt8]
  ) throws(FormatError) -> Bool {
    let instance = entry.instance
    switch entry.tag {
    case .geometry: shape = try GeometrySection.decode(raw.span, limits: limits)
    case .mask: masks[instance] = try MaskSection.decode(raw.span, shape: shape)
    case .alignment:
      guard let mask = masks[instance] else {
        throw FormatError(.instance, "section ALGN is of instance \(instance), which has no MASK")
      }
      alignments[instance] = try AlignmentSection.decode(raw.span, mask: mask, limits: limits)
      return alignments[instance] != nil
    case .scores:
      scores[instance] = try ScoresSection.decode(raw.span, channels: shape.channels)
      return scores[instance] != nil
    case .deployment:
      deployments[instance] = try DeploymentSection.decode(raw.span)
      return deployments[instance] != nil
    case .provenance:
      provenances[instance] = try ProvenanceSection.decode(raw.span, limits: limits)
    default: return false
    }
    return true
  }

  /// What was read of mask `instance` of a file with `table`; nil where its MASK was not.
  func document(_ instance: Int, of table: SectionTable) -> MaskDocument? {
    guard let mask = masks[instance] else { return nil }
    /// The instance whose section of `tag` serves.
    func owner(_ tag: SectionTag) -> Int {
      table.entries.contains { $0.tag == tag && $0.instance == instance } ? instance : 0
    }
    var document = MaskDocument(
      unscored: mask, alignment: alignments[instance], deployment: deployments[instance],
      provenance: provenances[owner(.provenance)] ?? Provenance())
    // their section has been refused unless it holds one number a channel
    document.scores = scores[owner(.scores)]
    return document
  }

  private static func content(
    of entry: SectionEntry, _ stored: Span<UInt8>
  ) throws(FormatError) -> [UInt8] {
    switch entry.codec {
    case .raw: return stored.copy(0..<stored.count)
    case .zstd:
      do throws(ZstdError) {
        return try Zstd.decompress(stored, count: entry.rawLength)
      } catch {
        throw FormatError(error, tag: entry.tag, offset: entry.offset)
      }
    }
  }
}

extension SectionEntry {
  /// Fails when `raw_length` cannot be that of the section, before anything of it is allocated.
  /// `shape` is that of the geometry, which stands in front of every other section.
  fileprivate func checkLength(shape: MaskShape, limits: FormatLimits) throws(FormatError) {
    switch tag {
    case .geometry:
      try require(
        rawLength > 0 && rawLength.isMultiple(of: GeometrySection.recordSize),
        "a positive multiple of \(GeometrySection.recordSize)")
      try require(
        rawLength / GeometrySection.recordSize, atMost: limits.layers, "layers")
    case .mask:
      let length = (shape.channels + 7) / 8
      try require(rawLength == length, "\(length)")
    case .alignment: try require(rawLength == AlignmentSection.size, "\(AlignmentSection.size)")
    case .scores:
      try require(rawLength >= ScoresSection.alignment, "at least \(ScoresSection.alignment)")
      try require(shape.channels, atMost: limits.scoredChannels, "channels with scores")
    case .deployment: try require(rawLength == DeploymentSection.size, "\(DeploymentSection.size)")
    case .provenance:
      try require(rawLength >= 4, "at least 4")
      try require(rawLength, atMost: limits.provenanceBytes, "bytes")
    default: break
    }
  }

  private func require(_ condition: Bool, _ expected: String) throws(FormatError) {
    guard condition else {
      throw FormatError(
        .sectionLength, "section \(tag): raw_length \(rawLength), expected \(expected)",
        at: .byte(offset))
    }
  }

  private func require(_ count: Int, atMost limit: Int, _ what: String) throws(FormatError) {
    guard count <= limit else {
      throw FormatError(
        .limit, "section \(tag): \(count) \(what), the limit is \(limit)", at: .byte(offset))
    }
  }
}
