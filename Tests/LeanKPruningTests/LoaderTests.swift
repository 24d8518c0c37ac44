import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import TestSupport
import Testing

/// The file with which transformers opens an output, and what `auto_map` says of it.
@Suite struct LoaderTests {
  private let folder: TemporaryDirectory
  private let dense: String
  private let mask: ChannelMask

  init() throws {
    folder = try TemporaryDirectory()
    dense = try Reference.gqa.checkout(in: folder)
    mask = try Reference.gqa.mask()
  }

  private func conversion(loader: [UInt8]? = LoaderFile.bytes) throws -> Conversion {
    var conversion = try Conversion.make(dense, mask, .cache, to: folder.path("out"))
    conversion.loader = loader
    return conversion
  }

  private func text(_ path: String) throws -> String {
    try String(contentsOfFile: folder.path(path), encoding: .utf8)
  }

  private func edit(_ path: String, _ change: (String) -> String) throws {
    let changed = change(try text(path))
    // A checkout links into the fixtures.
    try FileManager.default.removeItem(atPath: folder.path(path))
    try folder.write(Array(changed.utf8), to: path)
  }

  private func proof() throws -> StructureProof {
    try StructureProof.run(
      StructureProof.Request(
        dense: CheckpointDirectory(path: dense),
        pruned: CheckpointDirectory(path: folder.path("out")), mask: mask,
        maskContentID: testContentID))
  }

  @Test func liesBesideTheWeightsAndIsNamed() throws {
    let result = try conversion().run()
    #expect(result.files.contains { $0.name == "modeling_leank.py" })
    #expect(Array(try text("out/modeling_leank.py").utf8) == LoaderFile.bytes)
    let configuration = try text("out/config.json")
    let removed = configuration.replacing(
      /\n  "leank": \{[^}]*\},\n  "auto_map": \{[^}]*\},/, with: "")
    #expect(removed == (try text("dense/config.json")))
    let object = try JSONSerialization.jsonObject(with: Data(configuration.utf8))
    #expect(
      (object as? [String: Any])?["auto_map"] as? [String: String]
        == ["AutoModelForCausalLM": "modeling_leank.LeanKForCausalLM"])
    let proof = try proof()
    #expect(proof.failures == [])
    #expect(proof.loader == LoaderFile.release(of: LoaderFile.bytes))
    #expect(proof.loader != nil)
  }

  @Test func isLeftOutWhereItIsNotAskedFor() throws {
    _ = try conversion(loader: nil).run()
    #expect(!FileManager.default.fileExists(atPath: folder.path("out/modeling_leank.py")))
    #expect(!(try text("out/config.json")).contains("auto_map"))
    let proof = try proof()
    #expect(proof.failures == [])
    #expect(proof.loader == nil)
  }

  @Test func codeOfTheSourceStays() throws {
    try edit("dense/config.json") {
      $0.replacing(
        "{", with: "{\n  \"auto_map\": {\"AutoModel\": \"theirs.Model\"},", maxReplacements: 1)
    }
    let refused = try conversion()
    for run in [{ _ = try refused.run() }, { _ = try refused.preview() }] {
      let error = #expect(throws: PruningError.self, performing: run)
      #expect(error?.code == .foreignLoader)
      #expect(error?.description.contains("give --no-loader") == true)
    }
    #expect(!FileManager.default.fileExists(atPath: folder.path("out")))
    _ = try conversion(loader: nil).run()
    #expect(try text("out/config.json").contains("theirs.Model"))
    #expect(try proof().failures == [])
  }

  @Test func aModelWithPicturesHasAClassOfItsOwn() throws {
    let wrapper = Reference(name: "llava")
    let path = try wrapper.checkout(in: folder, as: "wrapper")
    var conversion = try Conversion.make(path, wrapper.mask(), .cache, to: folder.path("out"))
    conversion.loader = LoaderFile.bytes
    _ = try conversion.run()
    #expect(
      try text("out/config.json").contains(
        "\"AutoModelForImageTextToText\": \"modeling_leank.LeanKForImageTextToText\""))
  }

  @Test func oneOtherByteIsFound() throws {
    _ = try conversion().run()
    try edit("out/modeling_leank.py") { $0 + "\n" }
    let failures = try proof().failures.map(\.description)
    #expect(failures.count == 1)
    #expect(failures.first?.hasPrefix("modeling_leank.py is none of the ") == true)
    #expect(try proof().loader == nil)
  }

  @Test func aMissingFileIsFound() throws {
    _ = try conversion().run()
    try FileManager.default.removeItem(atPath: folder.path("out/modeling_leank.py"))
    #expect(
      try proof().failures.map(\.description)
        == ["modeling_leank.py, which config.json names, is missing"])
  }

  @Test func aFileThatNothingNamesIsHeldToTheReleasedOnes() throws {
    _ = try conversion(loader: nil).run()
    try folder.write(LoaderFile.bytes, to: "out/modeling_leank.py")
    #expect(try proof().failures == [])
    try folder.write(Array("import os\n".utf8), to: "out/modeling_leank.py")
    #expect(try proof().failures.count == 1)
  }

  @Test(arguments: ["modeling_other.LeanKForCausalLM", "modeling_leank.Other"])
  func otherCodeIsFound(_ name: String) throws {
    _ = try conversion().run()
    try edit("out/config.json") {
      $0.replacing("modeling_leank.LeanKForCausalLM", with: name)
    }
    let failures = try proof().failures.map(\.description)
    #expect(
      failures.contains("config.json has an auto_map that names other code than modeling_leank.py"))
  }
}
