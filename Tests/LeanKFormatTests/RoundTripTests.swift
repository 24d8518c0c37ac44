import ByteIO
import LeanKFormat
import LeanKMask
import TestSupport
import Testing

@Suite struct RoundTripTests {
  @Test(arguments: 0..<16, SampleDocuments.geometries.indices)
  func everyCombinationOfSections(parts: Int, geometry: Int) throws {
    var random = SeededGenerator(seed: UInt64(parts * 100 + geometry))
    let mask = try SampleDocuments.mask(SampleDocuments.geometries[geometry](), using: &random)
    var document = try MaskDocument(mask: mask)
    var tags = ["GEOM", "MASK"]
    if parts & 1 != 0 {
      document.alignment = try Alignment(unit: 1, rule: .leank, targetRatio: 0.7)
      tags.append("ALGN")
    }
    if parts & 2 != 0 {
      document.scores = try SampleDocuments.scores(
        .allCases[parts % 3], count: mask.channels, using: &random)
      tags.append("SCOR")
    }
    if parts & 4 != 0 {
      document.deployment = .windowed(.standard)
      tags.append("DEPL")
    }
    if parts & 8 != 0 {
      document.provenance = Provenance(["model": "a/b", "writer": "leank"])
      tags.append("PROV")
    }
    let (bytes, written) = try LeankFile.encode(document)
    let file = try LeankFile(bytes)
    #expect(file.document == document)
    #expect(file == written)
    #expect(file.sections.map(\.tag) == tags)
    #expect(file.byteCount == bytes.count)
    #expect(try file.encoded() == bytes)
    let bare = try LeankFile(file.encoded(includingProvenance: false))
    #expect(bare.document.provenance.isEmpty)
    #expect((bare.contentID == file.contentID) == document.provenance.isEmpty)
  }

  @Test func twentyDocumentsKeepTheirContent() throws {
    for document in try SampleDocuments.all(seed: 1) {
      let (bytes, _) = try LeankFile.encode(document)
      #expect(try LeankFile(bytes).document == document)
    }
  }

  @Test func contentIdentityIsTextAndBytes() throws {
    let document = try SampleDocuments.all(seed: 2)[0]
    let id = try LeankFile.encode(document).file.contentID
    #expect(id.hex.count == 64)
    #expect("\(id)" == id.hex)
    #expect(ContentID(hex: id.hex) == id)
    #expect(ContentID(hex: id.hex.uppercased()) == nil || id.hex == id.hex.uppercased())
    #expect(ContentID(hex: String(id.hex.dropLast())) == nil)
    #expect(ContentID(hex: id.hex + "00") == nil)
  }

  /// A rewrite carries unknown sections along if they are safe to copy and the mask is the same.
  @Test func unknownSectionsInRewrites() throws {
    let kept = try LeankFile(Fixtures.bytes("Vectors/v1/valid/unknown_safe_to_copy.leank"))
    let left = try LeankFile(Fixtures.bytes("Vectors/v1/valid/unknown_ancillary.leank"))
    let newer = try LeankFile(Fixtures.bytes("Vectors/v1/valid/deployment_unknown_mode.leank"))
    #expect(newer.document.deployment == nil && newer.opaqueSections.map(\.name) == ["DEPL"])
    #expect(try LeankFile.encode(newer.document, replacing: newer).file == newer)
    var document = kept.document
    document.deployment = .static
    let same = try LeankFile.encode(document, replacing: kept).file
    #expect(same.opaqueSections == kept.opaqueSections)
    #expect(same.document == document)
    #expect(try LeankFile.encode(left.document, replacing: left).file.opaqueSections.isEmpty)
    document.mask = try document.mask.closed
    let changed = try LeankFile.encode(document, replacing: kept).file
    #expect(document.mask != kept.document.mask && changed.opaqueSections.isEmpty)
    // what is written takes the place of what was not understood
    var own = newer.document
    own.deployment = .static
    let replaced = try LeankFile.encode(own, replacing: newer).file
    #expect(replaced.document == own && replaced.opaqueSections.isEmpty)
  }

  /// Errors name the file, and the place in it.
  @Test func errorsNameTheFile() throws {
    let error = #expect(throws: FormatError.self) { try LeankFile([1, 2, 3], path: "a\n.leank") }
    #expect(error?.path == "a\n.leank")
    #expect(error?.description.hasPrefix("a\\u{a}.leank: not a .leank file") == true)
  }

  /// What no file may hold is refused when it is written, with the code a reader would use.
  @Test func unwritableDocuments() throws {
    var random = SeededGenerator(seed: 3)
    let mask = try SampleDocuments.mask([LayerGeometry(kvHeads: 1, headDim: 8)], using: &random)
    func refusal(_ change: (inout MaskDocument) throws -> Void) throws -> FormatCode? {
      var document = try MaskDocument(mask: mask)
      try change(&document)
      do throws(FormatError) {
        _ = try LeankFile.encode(document)
        return nil
      } catch {
        return error.code
      }
    }
    #expect(try refusal { $0.provenance = Provenance(["two words": ""]) } == .name)
    #expect(try refusal { $0.provenance = Provenance(["": ""]) } == .name)
    #expect(
      try refusal { $0.provenance = Provenance(["k": String(repeating: "x", count: 65_537)]) }
        == .limit)
    #expect(
      try refusal { document in
        document.provenance = Provenance(
          Dictionary(uniqueKeysWithValues: (0...1024).map { ("k\($0)", "") }))
      } == .limit)
    #expect(try refusal { $0.alignment = try Alignment(unit: 4097, rule: .given) } == .limit)
    #expect(
      try refusal { $0.alignment = try Alignment(unit: Int.max, rule: .given) } == .limit)
    let wide = try ChannelMask(layers: [
      LayerMask(
        geometry: LayerGeometry(kvHeads: 1, headDim: 4097), heads: [ChannelSet(width: 4097)])
    ])
    #expect(try refusal { $0.mask = wide } == .limit)
    let unmet = try MaskDocument(
      mask: SampleDocuments.mask(
        [LayerGeometry(kvHeads: 4, headDim: 8)], density: 0.5, using: &random))
    #expect(!(try Alignment(unit: 5, rule: .budget).isMet(by: unmet.mask)))
    #expect(
      try refusal {
        $0 = unmet
        $0.alignment = try Alignment(unit: 5, rule: .budget)
      } == .alignment)
  }
}
