import ByteIO
import LeanKFormat
import LeanKMask
import TestSupport
import Testing

/// Files of several masks, and parts of files.
@Suite struct InstanceTests {
  @Test(arguments: SampleDocuments.geometries.indices)
  func severalMasks(geometry: Int) throws {
    let documents = try SampleDocuments.instances(seed: 5, geometry: geometry)
    let (bytes, file) = try LeankFile.encode(instances: documents)
    #expect(file.instances == documents)
    #expect(try LeankFile(bytes) == file)
    #expect(file.document == documents[0])
    // shared sections stand once
    #expect(
      file.sections.filter { $0.tag == "SCOR" }.map(\.instance) == [0, 2]
        && file.sections.filter { $0.tag == "PROV" }.map(\.instance) == [0, 2])
    let separate = try documents.map { try LeankFile.encode($0) }
    #expect(file.byteCount < separate.reduce(0) { $0 + $1.bytes.count })
    for (index, document) in documents.enumerated() {
      // the identity of a mask is the content id of the file that holds it alone
      let alone = try file.alone(instance: index)
      #expect(alone.file.instances == [document])
      #expect(alone.file.contentID == file.identities[index])
      #expect(alone.bytes == separate[index].bytes)
      #expect(alone.file.identities == [alone.file.contentID])
    }
  }

  /// A mask without scores of its own has those of the first.
  @Test func sharedSections() throws {
    var documents = try SampleDocuments.instances(seed: 6, geometry: 2)
    let complete = try LeankFile.encode(instances: documents)
    documents[1].scores = nil
    documents[1].provenance = Provenance()
    #expect(try LeankFile.encode(instances: documents).bytes == complete.bytes)
    documents[0].scores = nil
    documents[2].scores = nil
    #expect(try LeankFile.encode(instances: documents).file.instances[1].scores == nil)
  }

  @Test func masksOfAnotherGeometry() throws {
    let one = try SampleDocuments.instances(seed: 7, geometry: 2)[0]
    let other = try SampleDocuments.instances(seed: 7, geometry: 3)[0]
    let error = #expect(throws: FormatError.self) {
      try LeankFile.encode(instances: [one, other])
    }
    #expect(error?.code == .geometry)
    let none = #expect(throws: FormatError.self) { try LeankFile.encode(instances: []) }
    #expect(none?.code == .missingSection)
  }

  /// An opaque section goes where its mask goes.
  @Test func opaqueSectionsOfOneMask() throws {
    let file = try LeankFile(Fixtures.bytes("Vectors/v1/valid/instances_unknown_sections.leank"))
    #expect(file.opaqueSections.map(\.instance) == [0, 1, 1])
    let second = try file.alone(instance: 1).file
    #expect(second.contentID == file.identities[1])
    #expect(second.opaqueSections.map(\.bytes) == [Array("second".utf8)])
    let newer = try LeankFile(Fixtures.bytes("Vectors/v1/valid/instances_not_understood.leank"))
    #expect(newer.instances.map { $0.alignment != nil } == [true, false])
    #expect(try newer.alone(instance: 1).file.opaqueSections.map(\.name) == ["ALGN"])
    #expect(try newer.alone(instance: 0).file.opaqueSections.isEmpty)
    #expect(newer.identities == (try (0...1).map { try newer.alone(instance: $0).file.contentID }))
  }

  /// Scores begin at a multiple of 64 of the file and stand as they are.
  @Test func scoresAreMapped() throws {
    let bytes = try Fixtures.bytes("Vectors/v1/valid/scores_all_zero.leank")
    let file = try LeankFile(bytes)
    let scores = try #require(file.sections.first { $0.tag == "SCOR" })
    #expect(scores.codec == .raw && scores.storedLength == 64 + 4 * 256)
    let documents = try SampleDocuments.instances(seed: 8, geometry: 5)
    let written = try LeankFile.encode(instances: documents).bytes
    let patterns = try #require(documents[0].scores).bits.flatMap {
      [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)]
    }
    let places = stride(from: 0, to: written.count - patterns.count + 1, by: 64).filter {
      Array(written[$0..<$0 + patterns.count]) == patterns
    }
    #expect(places.count == 1)
  }

  // MARK: - Partial reader

  private struct Source {
    var bytes: [UInt8]
    private(set) var ranges: [Range<Int>] = []

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func fetch(_ range: Range<Int>) -> [UInt8] {
      ranges.append(range)
      return Array(bytes[range])
    }
  }

  /// A file of which the scores are most.
  private static func large() throws -> (bytes: [UInt8], file: LeankFile) {
    var random = SeededGenerator(seed: 9)
    let layers = try (0..<8).map { _ in try SampleDocuments.layer(4, 128, rotary: 128) }
    var documents: [MaskDocument] = []
    for density in [0.5, 0.25] {
      let mask = try SampleDocuments.mask(layers, density: density, using: &random)
      documents.append(
        try MaskDocument(
          mask: mask, alignment: Alignment(unit: 1, rule: .given),
          scores: SampleDocuments.scores(.f32, count: mask.channels, using: &random),
          deployment: .static, provenance: Provenance(["model": "m\(density)"])))
    }
    return try LeankFile.encode(instances: documents)
  }

  @Test func aPartOfAFile() throws {
    let (bytes, file) = try Self.large()
    for instance in 0..<2 {
      var source = Source(bytes)
      let part = try PartialLeankFile(byteCount: bytes.count, instance: instance) {
        source.fetch($0)
      }
      #expect(part.document == (try MaskDocument(mask: file.instances[instance].mask)))
      #expect(part.identity == file.identities[instance] && part.contentID == file.contentID)
      #expect(part.sections == file.sections)
      #expect(source.ranges.first == 0..<PartialLeankFile.frontSize)
      #expect(source.ranges.reduce(0) { $0 + $1.count } < 6000 && bytes.count > 30_000)
      let all = try PartialLeankFile(
        byteCount: bytes.count, instance: instance,
        parts: [.alignment, .scores, .deployment, .provenance]
      ) { source.fetch($0) }
      #expect(all.document == file.instances[instance])
    }
  }

  /// Damage is found in what was fetched, and only there.
  @Test func damageInAPart() throws {
    let (bytes, file) = try Self.large()
    var offset = 0
    for section in file.sections where section.tag == "SCOR" {
      offset = bytes.count - section.storedLength / 2
    }
    var damaged = bytes
    damaged[offset] ^= 1
    #expect(throws: FormatError.self) { try LeankFile(damaged) }
    let part = try PartialLeankFile(byteCount: bytes.count) { Array(damaged[$0]) }
    #expect(part.document.mask == file.document.mask)
    for index in 0..<PartialLeankFile.frontSize where index < 64 + 72 * file.sections.count {
      damaged = bytes
      damaged[index] ^= 4
      #expect(throws: FormatError.self, "byte \(index)") {
        try PartialLeankFile(byteCount: bytes.count) { Array(damaged[$0]) }
      }
    }
  }

  @Test func refusedParts() throws {
    let (bytes, _) = try Self.large()
    func code(_ read: () throws -> PartialLeankFile) -> FormatCode? {
      do {
        _ = try read()
        return nil
      } catch { return (error as? FormatError)?.code }
    }
    let fetch = { (range: Range<Int>) in Array(bytes[range]) }
    #expect(
      code { try PartialLeankFile(byteCount: bytes.count, instance: 2, fetch: fetch) } == .instance)
    #expect(
      code { try PartialLeankFile(byteCount: bytes.count, instance: -1, fetch: fetch) } == .instance
    )
    #expect(code { try PartialLeankFile(byteCount: bytes.count - 1, fetch: fetch) } == .truncated)
    #expect(
      code { try PartialLeankFile(byteCount: bytes.count) { fetch($0).dropLast() } } == .truncated)
    // faults in what the reader does not look at
    let unseen: Set = [
      "section_flip_note.leank", "section_digest_note.leank",
      "zstd_single_segment_above_limit.leank", "order_of_checks_checksum_of_the_last.leank",
      "instance_alignment.leank", "instance_mask_bits.leank",
    ]
    for name in VectorTests.names("invalid") where !unseen.contains(name) {
      let bytes = try Fixtures.bytes("Vectors/v1/invalid/\(name)")
      let own = code {
        try PartialLeankFile(
          byteCount: bytes.count, parts: [.alignment, .scores, .deployment, .provenance]
        ) { Array(bytes[$0]) }
      }
      let whole = try VectorTests.expected("invalid", name).refusal
      #expect(own?.rawValue == whole || own == nil && whole == "padding", "\(name)")
    }
  }
}
