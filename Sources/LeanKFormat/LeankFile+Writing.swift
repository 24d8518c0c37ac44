public import ByteIO
public import LeanKMask
import Zlib
import Zstd

extension LeankFile {
  /// The bytes of a file that holds one mask, and what a reader finds in them.
  ///
  /// Of `previous`, the file that the new one takes the place of, those sections of mask `instance`
  /// that it did not understand are carried along that are marked safe to copy, provided the mask is
  /// the same. Fails with `.limit` or the code of a section when `document` holds what no file may
  /// hold. The result has been read back.
  public static func encode(
    _ document: MaskDocument, replacing previous: LeankFile? = nil, instance: Int = 0,
    includingProvenance: Bool = true
  ) throws(FormatError) -> (bytes: [UInt8], file: LeankFile) {
    try encode(
      [document], previous, origins: [instance], includingProvenance: includingProvenance)
  }

  /// The bytes of a file that holds the masks `instances`, at least one, and what a reader finds in
  /// them.
  ///
  /// All have the geometry of the first, else the code is `.geometry`. Scores and provenance of the
  /// first are those of every mask that has none of its own. Otherwise as with one mask.
  public static func encode(
    instances: [MaskDocument], replacing previous: LeankFile? = nil,
    includingProvenance: Bool = true
  ) throws(FormatError) -> (bytes: [UInt8], file: LeankFile) {
    try encode(
      instances, previous, origins: Array(instances.indices),
      includingProvenance: includingProvenance)
  }

  /// The bytes of a file with this file's content, as this version writes it.
  public func encoded(includingProvenance: Bool = true) throws(FormatError) -> [UInt8] {
    try Self.encode(
      instances: instances, replacing: self, includingProvenance: includingProvenance
    ).bytes
  }

  /// The bytes of a file that holds mask `instance` of this one alone; its content id is the mask's
  /// identity.
  public func alone(instance: Int) throws(FormatError) -> (bytes: [UInt8], file: LeankFile) {
    try Self.encode(instances[instance], replacing: self, instance: instance)
  }

  /// `origins` says which mask of `previous` each of `documents` was.
  private static func encode(
    _ documents: [MaskDocument], _ previous: LeankFile?, origins: [Int], includingProvenance: Bool
  ) throws(FormatError) -> (bytes: [UInt8], file: LeankFile) {
    guard let main = documents.first else {
      throw FormatError(.missingSection, "a file needs at least one mask")
    }
    let shape = MaskShape(of: main.mask)
    var sections = [NewSection(.geometry, 0, GeometrySection.encode(shape))]
    for (instance, document) in documents.enumerated() {
      guard document.mask.layers.map(\.geometry) == shape.layers else {
        throw FormatError(
          .geometry, "mask \(instance) has another geometry than the file's first mask")
      }
      func add(_ tag: SectionTag, _ raw: [UInt8]) {
        sections.append(NewSection(tag, instance, raw))
      }
      add(.mask, MaskSection.encode(document.mask))
      if let alignment = document.alignment {
        add(.alignment, AlignmentSection.encode(alignment, mask: document.mask))
      }
      if let scores = document.scores, instance == 0 || scores != main.scores {
        add(.scores, ScoresSection.encode(scores))
      }
      if let deployment = document.deployment {
        add(.deployment, DeploymentSection.encode(deployment))
      }
      if includingProvenance, !document.provenance.isEmpty,
        instance == 0 || document.provenance != main.provenance
      {
        add(.provenance, ProvenanceSection.encode(document.provenance))
      }
      if let previous, previous.instances.indices.contains(origins[instance]),
        previous.instances[origins[instance]].mask == document.mask
      {
        sections += previous.carried(from: origins[instance], to: instance, beside: sections)
      }
    }
    let bytes = try NewSection.file(sections)
    return (bytes, try LeankFile(bytes))
  }

  /// The opaque sections of mask `origin` that go where it goes, unless `sections` has their place.
  private func carried(
    from origin: Int, to instance: Int, beside sections: [NewSection]
  ) -> [NewSection] {
    opaqueSections.compactMap { section in
      let isOwn = section.instance == origin
      let isShared =
        section.tag.isShared && section.instance == 0
        && !self.sections.contains { $0.tag == section.name && $0.instance == origin }
      guard section.isSafeToCopy, isOwn || isShared && instance == 0,
        !sections.contains(where: { $0.tag == section.tag && $0.instance == instance })
      else { return nil }
      return NewSection(section.tag, instance, section.bytes, flags: section.flags)
    }
  }
}

/// A section on its way into a file.
struct NewSection {
  let tag: SectionTag
  let instance: Int
  let raw: [UInt8]
  let flags: SectionFlags

  init(_ tag: SectionTag, _ instance: Int, _ raw: [UInt8], flags: SectionFlags? = nil) {
    self.tag = tag
    self.instance = instance
    self.raw = raw
    self.flags = flags ?? .required(for: tag)
  }

  /// The bytes of a file with `sections`.
  static func file(_ sections: [NewSection]) throws(FormatError) -> [UInt8] {
    let sorted = sections.sorted { ($0.tag.rank, $0.instance) < ($1.tag.rank, $1.instance) }
    var entries: [SectionEntry] = []
    var stored: [[UInt8]] = []
    var end = FormatHeader.size + SectionTable.size(of: sorted.count)
    for section in sorted {
      let (codec, bytes) = try section.compressed()
      let offset = section.tag.aligned(end)
      entries.append(
        SectionEntry(
          tag: section.tag, flags: section.flags, codec: codec, instance: section.instance,
          offset: offset, storedLength: bytes.count, rawLength: section.raw.count,
          checksum: CRC32.of(bytes.span), digest: contentDigest(section.raw)))
      stored.append(bytes)
      end = offset + bytes.count
    }
    let header = FormatHeader(
      fileLength: end, sectionCount: entries.count, contentID: ContentID(of: entries))
    var writer = ByteWriter()
    writer.append(contentsOf: header.encoded())
    for entry in entries { entry.append(to: &writer) }
    let table = writer.bytes[FormatHeader.size...]
    writer.append(CRC32.of(table.span))
    writer.append(UInt32(0))
    for (entry, bytes) in zip(entries, stored) {
      writer.pad(to: entry.tag == .scores ? ScoresSection.alignment : 8)
      writer.append(contentsOf: bytes)
    }
    return writer.bytes
  }

  /// A zstd frame where that is shorter, else the bytes themselves; scores always as they are.
  private func compressed() throws(FormatError) -> (SectionCodec, [UInt8]) {
    guard tag != .scores else { return (.raw, raw) }
    do throws(ZstdError) {
      let frame = try Zstd.compress(raw.span)
      return frame.count < raw.count ? (.zstd, frame) : (.raw, raw)
    } catch {
      throw FormatError(error, tag: tag, offset: 0)
    }
  }
}
