import LeanKCommands
import LeanKModel
import StrictJSON
import TestSupport
import Testing

/// `leank inspect` on checkpoints without a mask.
@Suite("Inspecting checkpoints")
struct InspectCheckpointTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(
    "every reference model is reported, with the layouts it can have",
    arguments: FamilyTests.models, ["config.json", "config_v4.json"])
  func everyModel(name: String, configuration: String) throws {
    let model = try copyModel(name, to: directory, configuration: configuration)
    let report = try leank(expecting: 0, ["inspect", model, "--json"]).json
    let isNormed = FamilyTests.normed.contains(name)
    #expect(
      report["layouts"]?.children.map { $0.value["possible"]?.bool } == [
        !isNormed, true, !isNormed,
      ])
    let kinds = Set(report["key_norm"]?.children.compactMap(\.value.string) ?? [])
    #expect(kinds == [!isNormed ? "none" : name == "olmo2" ? "across_heads" : "per_head"])
    let layers = try #require(report["layers"]?.integer)
    let heads = report["kv_heads"]?.children.compactMap(\.value.integer) ?? []
    let widths = report["head_dim"]?.children.compactMap(\.value.integer) ?? []
    try #require(heads.count == layers && widths.count == layers)
    let channels = zip(heads, widths).reduce(0) { $0 + $1.0 * $1.1 }
    let width = report["dtype"]?.string == "float32" ? 4 : 2
    #expect(report["key_cache_bytes_per_token"]?.integer == channels * width)
    #expect(report["value_cache_bytes_per_token"]?.integer == channels * width)
    #expect(report["weight_bytes"]?.children.map(\.key).isEmpty == false)
    #expect(report["quantization"]?.isNull == true)
  }

  @Test("contexts end at the model's own limit, a wrapper's text model included")
  func contextLimit() throws {
    let model = Fixtures.path("Models/leank-tiny")
    let mask = Fixtures.path("Masks/leank-tiny/static_pairs_mask_r0.5_align16.npy")
    let text = try leank(expecting: 0, ["inspect", mask, "--model", model]).output
    #expect(text.contains(" 1,024 tokens") && !text.contains(" 4,096 tokens"), "\(text)")
    #expect(try leank(expecting: 0, ["inspect", mask]).output.contains(" 131,072 tokens"))
    for (json, limit) in [
      (#"{"model_type":"a","max_position_embeddings":7}"#, 7),
      (
        #"{"model_type":"a","max_position_embeddings":7,"text_config":{"max_position_embeddings":5}}"#,
        5
      ),
      (#"{"model_type":"a","max_position_embeddings":"7"}"#, nil),
      (#"{"model_type":"a"}"#, nil),
    ] as [(String, Int?)] {
      let configuration = try ModelConfiguration(Array(json.utf8), path: "config.json")
      #expect(configuration.contextLimit == limit, "\(json)")
    }
  }

  @Test("layers of different shapes are told apart")
  func mixedLayers() throws {
    let model = try copyModel("smollm3", to: directory)
    let text = try leank(expecting: 0, ["inspect", model]).output
    #expect(
      text.contains(
        "layers 0, 2: 2 KV heads of 16 channels, 4 query heads, half pairs over 16"), "\(text)")
    #expect(text.contains("layers 1, 3: 2 KV heads of 16 channels, 4 query heads, no RoPE"))
    let plain = try copyModel("llama_gqa", to: directory, as: "plain")
    #expect(try leank(expecting: 0, ["inspect", plain]).output.contains("3 layers: 2 KV heads"))
  }

  @Test("what norms forbid, and what could go all the same")
  func normedModels() throws {
    for (name, expected) in [
      ("qwen3", "of a head that keeps nothing, its 96 rows of K and Q could go"),
      ("olmo2", "not even those of heads that keep nothing"),
    ] {
      let model = try copyModel(name, to: directory, as: name)
      let text = try leank(expecting: 0, ["inspect", model]).output
      let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      #expect(words.contains(expected), "\(text)")
      #expect(text.contains("--layout cache"))
    }
  }

  @Test("convert says how many rows of empty heads could go")
  func emptyHeads() throws {
    // Of 6 heads of 32 channels one keeps nothing; it has one head of K and two of Q.
    for (name, words) in [("qwen3", "96 of 576 rows of K and Q"), ("olmo2", nil)] {
      let model = try copyModel(name, to: directory, as: name)
      let run = try leank(
        expecting: 0,
        [
          "convert", "--model", model, "--mask", Fixtures.path("Reference/\(name)/mask.npy"),
          "--output", directory.path("out-" + name), "--layout", "cache", "--dry-run",
        ])
      #expect(run.diagnostics.contains(words ?? "") || words == nil, "\(run.diagnostics)")
      #expect(run.diagnostics.contains("rows of K and Q") == (words != nil))
    }
  }
}
