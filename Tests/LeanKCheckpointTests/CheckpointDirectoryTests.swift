import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import StrictJSON
import TensorFiles
import TestSupport
import Testing

@Suite struct CheckpointDirectoryTests {
  private static let configuration = Array(
    #"{"model_type":"llama","hidden_size":4,"num_hidden_layers":1,"num_attention_heads":1}"#.utf8)

  @Test func hostileIndexes() throws {
    guard let corpus = try HostileCorpus() else { return }
    let cases = corpus.cases.filter { $0.kind == "index" }
    #expect(cases.count == 54)
    for entry in cases {
      let folder = (corpus.directory.path(entry.file) as NSString).deletingLastPathComponent
      try Data(Self.configuration).write(to: URL(filePath: folder + "/config.json"))
      do throws(CheckpointError) {
        let checkpoint = try CheckpointDirectory(path: folder)
        #expect(entry.isAccepted, "\(entry.file): \(entry.why)")
        #expect(checkpoint.warnings.isEmpty == !entry.file.contains("total_size_wrong"))
        try checkpoint.checkUnchanged()
      } catch {
        #expect(!entry.isAccepted, "\(error)")
        #expect(error.failureClass == .malformed, "\(error)")
        let isAbsent =
          ["shard_missing", "path_percent", "symlink_", "shard_is_directory"].contains {
            entry.file.contains($0)
          }
        #expect((error.code == .missingShard) == isAbsent, "\(error)")
      }
    }
  }

  @Test(arguments: Reference.all)
  func digestOfTheSource(_ reference: Reference) throws {
    let folder = try TemporaryDirectory()
    let checkpoint = try CheckpointDirectory(path: try reference.checkout(in: folder))
    let expected = try JSONDocument(try Fixtures.bytes("Reference/pruned.json"))
    #expect(checkpoint.sourceDigest == expected.root[reference.name]?["source_digest"]?.string)
  }

  @Test func refusesLeftOverStaging() throws {
    let folder = try TemporaryDirectory()
    let path = try Reference.gqa.checkout(in: folder)
    try folder.write([], to: "dense/LEANK_INCOMPLETE")
    #expect(throws: CheckpointError(.incomplete, "")) { try CheckpointDirectory(path: path) }
    #expect(throws: Never.self) {
      try CheckpointDirectory(path: path, acceptingIncomplete: true)
    }
  }

  @Test func refusesTwoSources() throws {
    let folder = try TemporaryDirectory()
    let path = try Reference.sharded.checkout(in: folder)
    try folder.write([], to: "dense/model.safetensors")
    #expect(throws: CheckpointError(.bothSingleAndIndex, "")) {
      try CheckpointDirectory(path: path)
    }
  }

  /// What lies in place of weights is called what it is.
  @Test(arguments: [
    (["pytorch_model.bin"], "\"pytorch_model.bin\" is another format"),
    (
      ["model-00001-of-00002.safetensors"],
      "\"model-00001-of-00002.safetensors\" is a shard, of 1 that are here and 2 in all"
    ),
    (
      ["model-00001-of-00001.safetensors"],
      "\"model-00001-of-00001.safetensors\" is the only shard of its checkpoint, rename it"
    ),
    (
      ["adapter_config.json", "adapter_model.safetensors"],
      "\"adapter_config.json\" belongs to an adapter, merge it into its base model"
    ),
    (["weights.safetensors"], "\"weights.safetensors\" goes by another name, rename it"),
  ])
  func namesWhatIsThere(files: [String], text: String) throws {
    let folder = try TemporaryDirectory()
    try folder.write(Self.configuration, to: "config.json")
    for file in files { try folder.write([], to: file) }
    let error = #expect(throws: CheckpointError.self) { try CheckpointDirectory(path: folder.path) }
    #expect(error?.code == .noWeights)
    #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
  }

  /// An index without metadata, or with null for them, has the sums put in; else they are replaced.
  @Test(arguments: ["", #""metadata": null, "#, #""metadata": {"total_size": 1, "x": 2}, "#])
  func metadataOfAnIndex(metadata: String) throws {
    let text = "{\(metadata)\"weight_map\": {\"a\": \"x.safetensors\"}}"
    let index = try ShardIndex(Array(text.utf8), path: "index")
    let written = index.rewritten(totalSize: 12, totalParameters: 6)
    let again = try ShardIndex(written, path: "index")
    #expect(again.totalSize == 12)
    #expect(again.weightMap == index.weightMap)
    let root = try JSONDocument(written).root
    #expect(root["metadata"]?["total_size"]?.integer == 12)
    #expect((root["metadata"]?["x"] != nil) == metadata.contains("x"))
  }

  /// A `quantization_config` that stayed behind on plain weights draws no "quantised".
  @Test func staleQuantisation() throws {
    let folder = try TemporaryDirectory()
    let path = try Reference.gqa.checkout(in: folder)
    var configuration = try ConfigurationPatch("llama_gqa")
    configuration.set("quantization_config", to: ["quant_method": "fp8"])
    try FileManager.default.removeItem(atPath: path + "/config.json")
    try folder.write(try configuration.bytes, to: "dense/config.json")
    let plain = try CheckpointDirectory(path: path)
    #expect(!plain.isQuantised)
    #expect(plain.quantizationMethod == nil)
    #expect(throws: Never.self) { try plain.describe() }
    configuration.set("num_hidden_layers", to: 9)
    try folder.write(try configuration.bytes, to: "dense/config.json")
    let error = #expect(throws: CheckpointError.self) {
      try CheckpointDirectory(path: path).describe()
    }
    #expect(error?.code == .missingTensor)
    #expect(error?.description.contains("quantised") == false)
    let packed = try CheckpointDirectory(path: Fixtures.path("Quantised/llama_fp8"))
    #expect(packed.isQuantised)
    #expect(packed.quantizationMethod != nil)
  }

  @Test func refusesAnythingThatIsNoDirectory() throws {
    let folder = try TemporaryDirectory()
    let file = try folder.write([], to: "file")
    for path in [file, folder.path("nothing")] {
      let error = #expect(throws: CheckpointError.self) { try CheckpointDirectory(path: path) }
      #expect(error?.failureClass == .inputOutput)
    }
  }

  @Test func tooManyShards() throws {
    let map = (0...10_000).map { #""t\#($0)":"s\#($0).safetensors""# }.joined(separator: ",")
    #expect(throws: CheckpointError(.tooManyShards, "")) {
      try ShardIndex(Array("{\"weight_map\":{\(map)}}".utf8), path: "index")
    }
  }

  @Test func missingAndMisshapenTensors() throws {
    let folder = try TemporaryDirectory()
    let path = try Reference.gqa.checkout(in: folder)
    let file = try SafetensorsFile(path: Reference.gqa.path("model.safetensors"))
    var arrays = try file.header.tensors.map { ($0.name, try file.array($0)) }
    let name = "model.layers.1.self_attn.v_proj.weight"
    let index = try #require(arrays.firstIndex { $0.0 == name })
    func describe() throws {
      try FileManager.default.removeItem(atPath: path + "/model.safetensors")
      try folder.write(encodeSafetensors(arrays), to: "dense/model.safetensors")
      _ = try CheckpointDirectory(path: path).describe()
    }
    let array = arrays[index].1
    arrays[index].1 = TensorArray(
      scalar: array.scalar, shape: array.shape.reversed(), bytes: array.bytes)
    let misshapen = #expect(throws: CheckpointError.self) { try describe() }
    #expect(misshapen?.code == .tensorShape)
    #expect(
      misshapen?.description.hasSuffix("\"\(name)\": expected shape [32, 64], found [64, 32]")
        == true)
    arrays.remove(at: index)
    #expect(throws: CheckpointError(.missingTensor, "")) { try describe() }
  }

  /// Published pruned checkpoints are read back as what was written.
  @Test func prunedObjectIsReadStrictly() throws {
    let good = [
      "spec_version": #""1.0""#, "mask_file": #""mask.leank""#,
      "mask_content_id": "\"\(testContentID)\"", "layout": #""cache""#, "mode": #""windowed""#,
      "sink": "4", "recent": "8", "accumulate": "2", "source_digest": "\"\(testDigest)\"",
    ]
    func read(_ key: String? = nil, _ text: String? = nil) throws -> PrunedConfiguration? {
      var members = good
      if let key { members[key] = text }
      let object = members.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
      return try PrunedConfiguration(
        of: try ModelConfiguration(
          Array("{\"model_type\":\"llama\",\"leank\":{\(object)}}".utf8), path: "config.json"))
    }
    let pruned = try read()
    #expect(pruned?.layout == .cache)
    #expect(pruned?.deployment.window?.recent == 8)
    #expect(throws: ModelError(.unsupportedModel, "")) { try read("spec_version", "\"2.0\"") }
    #expect(throws: ModelError(.unsupportedModel, "")) { try read("layout", "\"columns\"") }
    #expect(throws: ModelError(.unsupportedModel, "")) { try read("mode", "\"often\"") }
    #expect(throws: ModelError(.outOfRange, "")) { try read("mask_file", "\"../mask\"") }
    #expect(throws: ModelError(.outOfRange, "")) { try read("source_digest", "\"ABCD\"") }
    #expect(throws: ModelError(.outOfRange, "")) { try read("sink", "-1") }
    for key in ["recent", "accumulate"] {
      #expect(throws: ModelError(.outOfRange, "")) { try read(key, "0") }
    }
    #expect(throws: ModelError(.missingKey, "")) { try read("layout", nil) }
    #expect(throws: ModelError(.inconsistent, "")) { try read("layout", "\"rows\"") }
    #expect(
      try PrunedConfiguration(
        of: try ModelConfiguration(Self.configuration, path: "config.json")) == nil)
  }
}
