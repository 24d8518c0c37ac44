import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles
import TestSupport
import Testing

/// Files beside the tensors: what a loader may read has to be as `convert` writes it.
@Suite struct FileProofTests {
  private static func pair(
    _ reference: Reference = .gqa, _ layout: PruningLayout = .rows
  ) throws -> Pair {
    try Pair(reference, layout) { dense in
      for (name, text) in [
        ("tokenizer.json", #"{"a": 1}"#), ("README.md", "# A model"), ("merges.txt", "a b"),
        ("pytorch_model.bin", "weights"), ("adapter_config.json", "{}"), ("rust_model.ot", "w"),
        ("modeling_own.py", "pass"),
      ] {
        try Data(text.utf8).write(to: URL(filePath: dense + "/" + name))
      }
      try FileManager.default.createDirectory(
        atPath: dense + "/original", withIntermediateDirectories: false)
    }
  }

  private static func put(_ text: String, _ name: String, in pair: Pair) throws {
    try pair.folder.write(Array(text.utf8), to: "out/" + name)
  }

  @Test func anUntouchedOutputHolds() throws {
    for reference in [Reference.gqa, .sharded] {
      for layout in PruningLayout.allCases {
        let pair = try Self.pair(reference, layout)
        let proof = try StructureProof.of(
          dense: pair.dense, pruned: try pair.pruned(), mask: pair.mask,
          maskContentID: testContentID)
        #expect(proof.failures == [])
        #expect(proof.additions == [])
        #expect(!FileManager.default.fileExists(atPath: pair.folder.path("out/rust_model.ot")))
        #expect(
          !FileManager.default.fileExists(atPath: pair.folder.path("out/adapter_config.json")))
      }
    }
  }

  @Test(arguments: [
    ("tokenizer.json", #"{"a": 2}"#, "differs from the dense checkpoint's from byte 6 on"),
    ("tokenizer.json", #"{"a": 1} "#, "9 bytes, the dense checkpoint's has 8"),
    ("README.md", "", "0 bytes, the dense checkpoint's has 9"),
    ("modeling_own.py", "exec", "differs from the dense checkpoint's from byte 0 on"),
  ])
  func aChangedFileIsFound(_ name: String, _ text: String, _ detail: String) throws {
    let pair = try Self.pair()
    try Self.put(text, name, in: pair)
    #expect(try pair.failures() == ["\(name): \(detail)"])
  }

  @Test func aMissingFileIsFound() throws {
    let pair = try Self.pair()
    try FileManager.default.removeItem(atPath: pair.folder.path("out/merges.txt"))
    #expect(try pair.failures() == ["merges.txt: missing, the dense checkpoint has it"])
    try FileManager.default.createDirectory(
      atPath: pair.folder.path("out/merges.txt"), withIntermediateDirectories: false)
    #expect(try pair.failures() == ["merges.txt: no regular file"])
  }

  @Test(arguments: [
    "modeling_x.py", "pytorch_model.bin", "model-00002-of-00002.safetensors", "model.gguf",
    "rust_model.ot", "model.pkl", "model.pdparams", "adapter_config.json",
    "adapter_model.safetensors", "tokenizer_config.json", "tokenizer.model", "vocab.txt",
    "chat_template.jinja", "pytorch_model.bin.index.json", "Modeling_X.PY", "consolidated.00.pth",
    "tokenizer.j\u{E9}.json",
  ])
  func anAddedFileThatALoaderMayReadIsFound(_ name: String) throws {
    let pair = try Self.pair()
    try Self.put("x", name, in: pair)
    #expect(
      try pair.failures() == [
        "\(name): added: convert did not write it, and a loader may read it"
      ])
  }

  @Test func otherAdditionsAreListed() throws {
    let pair = try Self.pair()
    try Self.put("x", ".cache/huggingface/x", in: pair)
    try Self.put("x", ".gitattributes", in: pair)
    try Self.put("x", "NOTES.md", in: pair)
    let proof = try StructureProof.of(
      dense: pair.dense, pruned: try pair.pruned(), mask: pair.mask, maskContentID: testContentID)
    #expect(proof.failures == [])
    #expect(proof.additions == [".cache/", ".gitattributes", "NOTES.md"])
  }

  /// To `String` both spellings of a name are one.
  @Test func fileNamesCompareByTheirBytes() throws {
    let pair = try Pair(.gqa) { dense in
      try Data("{}".utf8).write(to: URL(filePath: dense + "/K.json"))
    }
    try FileManager.default.moveItem(
      atPath: pair.folder.path("out/K.json"), toPath: pair.folder.path("out/\u{212A}.json"))
    #expect(
      try pair.failures() == [
        "K.json: missing, the dense checkpoint has it",
        "\u{212A}.json: added: convert did not write it, and a loader may read it",
      ])
  }

  private func rename(_ old: String, to new: String, in path: String) throws {
    let file = try SafetensorsFile(path: path)
    let arrays = try file.header.tensors.map {
      (name: UTF8Name($0.name) == UTF8Name(old) ? new : $0.name, array: try file.array($0))
    }
    try Data(encodeSafetensors(arrays, metadata: file.header.metadata))
      .write(to: URL(filePath: path))
  }

  @Test(arguments: [("K", "\u{212A}"), ("\u{E9}", "e\u{301}")])
  func tensorNamesCompareByTheirBytes(_ one: String, _ other: String) throws {
    let pair = try Pair(.gqa) { dense in
      let path = dense + "/model.safetensors"
      let file = try SafetensorsFile(path: path)
      let arrays = try file.header.tensors.map { (name: $0.name, array: try file.array($0)) }
      // What stands there leads to the fixture.
      try FileManager.default.removeItem(atPath: path)
      let extra = TensorArray(scalar: .u8, shape: [3], bytes: [1, 2, 3])
      try Data(
        encodeSafetensors(arrays + [(name: one, array: extra)], metadata: ["format": "pt"])
      ).write(to: URL(filePath: path))
    }
    #expect(try pair.failures() == [])
    try rename(one, to: other, in: pair.folder.path("out/model.safetensors"))
    #expect(
      try pair.failures().map { Array($0.utf8) } == [
        Array("\(one): missing".utf8), Array("\(other): not in the dense checkpoint".utf8),
      ])
  }

  @Test func metadataIsThatOfConvert() throws {
    let pair = try Self.pair()
    let path = pair.folder.path("out/model.safetensors")
    let file = try SafetensorsFile(path: path)
    let arrays = try file.header.tensors.map { (name: $0.name, array: try file.array($0)) }
    try Data(encodeSafetensors(arrays, metadata: ["format": "tf", "note": "x"]))
      .write(to: URL(filePath: path))
    #expect(
      try pair.failures() == [
        #"model.safetensors: __metadata__ "format": expected "pt", found "tf""#,
        #"model.safetensors: __metadata__ "note": expected nothing, found "x""#,
      ])
  }

  @Test func theIndexIsThatOfConvert() throws {
    let pair = try Self.pair(.sharded)
    let name = "model.safetensors.index.json"
    let whole = try String(contentsOfFile: pair.folder.path("out/" + name), encoding: .utf8)
    let size = try #require(whole.firstMatch(of: /"total_size": *([0-9]+)/)?.1)
    try Self.put(whole.replacing(size, with: "1"), name, in: pair)
    #expect(try pair.failures() == ["\(name): expected a total_size of \(size), found 1"])
    try Self.put(whole + "\n", name, in: pair)
    #expect(try pair.failures() == ["\(name): differs from what convert writes"])
  }

  @Test(arguments: [
    (
      #""layout""#, #""extra": 1, "layout""#, #"has a member "extra", which convert does not write"#
    ),
    (#""layout""#, #""sink": 4, "layout""#, #"has a member "sink", which convert does not write"#),
    (
      #""mask_file": "mask.leank""#, #""mask_file": "other.leank""#,
      #"has "other.leank" for "mask_file", convert writes "mask.leank""#
    ),
    (
      #""spec_version": "1.0""#, #""spec_version": "1.7""#,
      #"has "1.7" for "spec_version", convert writes "1.0""#
    ),
    (#""layout": "#, #""layout" : "#, "the object leank is not spelled as convert writes it"),
  ])
  func theObjectIsThatOfConvert(_ old: String, _ new: String, _ detail: String) throws {
    let pair = try Self.pair()
    try Self.put("mask", "other.leank", in: pair)
    try pair.editText("config.json") { $0.replacing(old, with: new) }
    let failures = try pair.failures()
    #expect(failures.count == 1)
    #expect(failures.first?.hasPrefix("config.json: ") == true)
    #expect(failures.first?.hasSuffix(detail) == true, "\(failures)")
  }

  /// Zeroed weights compute the closure, so beside them lies the closure.
  @Test func zeroedWeightsNeedAClosedMask() throws {
    let pair = try Self.pair(.gqa, .zeroed)
    let mask = try pair.dense.describe().description.adopt(pair.mask)
    try #require(try mask != mask.closed)
    let failures = try StructureProof.run(
      StructureProof.Request(
        dense: pair.dense, pruned: try pair.pruned(), mask: mask, maskContentID: testContentID)
    ).failures.map(\.description)
    #expect(failures.count == 1)
    #expect(failures.first?.hasPrefix("mask.leank: layer ") == true)
    #expect(failures.first?.contains("whose RoPE partner it keeps") == true)
  }

  @Test(arguments: [
    (StructureProof.KnownFile.Verdict.asWritten, [], []),
    (.unknown("too new"), [], ["X.md was not compared: too new"]),
    (.differs("line 3"), ["X.md: line 3"], []),
  ])
  func knownFilesAreJudged(
    _ verdict: StructureProof.KnownFile.Verdict, _ failures: [String], _ notes: [String]
  ) throws {
    let pair = try Self.pair()
    var request = StructureProof.Request(
      dense: pair.dense, pruned: try pair.pruned(), mask: pair.mask, maskContentID: testContentID)
    request.knownFiles = [
      .init(name: "X.md") { content, _, _ in content == [1] ? verdict : .differs("") }
    ]
    #expect(try StructureProof.run(request).notes == ["X.md is not there"])
    try pair.folder.write([1], to: "out/X.md")
    let proof = try StructureProof.run(request)
    #expect(proof.failures.map(\.description) == failures)
    #expect(proof.notes == notes)
  }
}
