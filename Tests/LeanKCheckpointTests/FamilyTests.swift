import Foundation
import LeanKCheckpoint
import LeanKModel
import TestSupport
import Testing

@Suite struct FamilyTests {
  /// Each tensor of each reference checkpoint is named by the description in the shape that
  /// transformers gave it, and both spellings of config.json say the same.
  @Test(arguments: Reference.all)
  func describesEveryTensor(_ reference: Reference) throws {
    let folder = try TemporaryDirectory()
    var models: [DescribedModel] = []
    for dialect in Reference.Dialect.allCases {
      let path = try reference.checkout(dialect, in: folder, as: dialect.rawValue)
      let checkpoint = try CheckpointDirectory(path: path)
      let model = try checkpoint.describe()
      let isDecoder = { (name: String) in
        !name.contains("vision_tower") && !name.contains("projector") && !name.hasPrefix("visual.")
      }
      #expect(Set(model.shapes.keys) == checkpoint.tensorNames.filter(isDecoder))
      models.append(model)
    }
    #expect(models[0] == models[1])
  }

  @Test func everyFamilyHasItsFixture() throws {
    let folder = try TemporaryDirectory()
    let types = try Set(
      Reference.all.map { reference in
        let path = try reference.checkout(in: folder, as: reference.name)
        return try CheckpointDirectory(path: path).configuration.modelType
      })
    let families = Set(ModelFamily.all.flatMap(\.modelTypes))
    #expect(families.isSubset(of: types))
    // Wrappers share one description, so that some stand for all.
    let wrappers = types.subtracting(families)
    #expect(wrappers.count >= 3)
    #expect(wrappers.isSubset(of: ModelFamily.wrappers.flatMap(\.modelTypes)))
  }

  /// A `text_config` leaves out what is the default of its class, as these of the hub do.
  @Test(arguments: [
    (
      """
      {"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 32064}}
      """, 32, 32, 32, 128
    ),
    (
      """
      {"model_type": "gemma3", "text_config": {"hidden_size": 2560, "intermediate_size": 10240,
       "model_type": "gemma3_text", "num_hidden_layers": 34, "sliding_window": 1024,
       "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}}
      """, 34, 8, 4, 256
    ),
    (
      """
      {"model_type": "mistral3", "text_config": {"model_type": "mistral", "head_dim": 128}}
      """, 32, 32, 8, 128
    ),
  ])
  func nestedDefaults(
    text: String, layers: Int, queryHeads: Int, kvHeads: Int, headDim: Int
  ) throws {
    let configuration = try ModelConfiguration(Array(text.utf8), path: "config.json")
    let model = try DescribedModel(
      configuration: configuration, tensorNames: ["language_model.model.norm.weight"])
    #expect(model.description.layers.count == layers)
    let attention = try #require(model.description.layers.first?.attention)
    #expect(attention.queryHeads == queryHeads)
    #expect(attention.kvHeads == kvHeads)
    #expect(attention.headDim == headDim)
    #expect(attention.key.weight == "language_model.model.layers.0.self_attn.k_proj.weight")
  }

  /// What differs between architectures stands in their files: nothing else looks at a `model_type`.
  @Test func onlyFamiliesKnowModelTypes() throws {
    let sources = Fixtures.root.deletingLastPathComponent().appending(path: "Sources")
    let files = try FileManager.default.subpathsOfDirectory(atPath: sources.path)
      .filter { $0.hasSuffix(".swift") && !$0.hasPrefix("LeanKModel/Families/") }
    #expect(files.count > 50)
    let families = ModelFamily.all + ModelFamily.wrappers
    let literals = families.flatMap(\.modelTypes).map { "\"\($0)\"" }
    let comparison =
      /(model_?[tT]ype\)?\s*(==|!=|\.has(Pre|Suf)fix|\.contains))|(switch\s+\S*model_?[tT]ype)/
    for file in files {
      let text = try String(contentsOf: sources.appending(path: file), encoding: .utf8)
      for literal in literals { #expect(!text.contains(literal), "\(literal) in \(file)") }
      let found = text.firstMatch(of: comparison).map { String($0.0) }
      #expect(found == nil, "\(file)")
    }
  }
}
