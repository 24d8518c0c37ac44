import ByteIO
import Foundation
import LeanKMask
import TestSupport
import Testing

@testable import LeanKCheckpoint
@testable import LeanKModel

@Suite struct ConfigurationTests {
  /// A small llama with further members, which win over those of the same name.
  private static func describe(
    _ members: [String: any Sendable], without removed: [String] = [],
    tensors: Set<String> = []
  ) throws -> ModelDescription {
    var object: [String: Any] = [
      "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96,
      "max_position_embeddings": 512,
    ]
    for (key, value) in members { object[key] = value }
    for key in removed { object[key] = nil }
    let bytes = [UInt8](try JSONSerialization.data(withJSONObject: object))
    let configuration = try ModelConfiguration(bytes, path: "config.json")
    return try DescribedModel(configuration: configuration, tensorNames: tensors).description
  }

  private static func rotary(_ members: [String: any Sendable]) throws -> RotaryDescription? {
    try describe(members).layers[0].attention.rotary
  }

  @Test func hostileConfigurations() throws {
    guard let corpus = try HostileCorpus() else { return }
    let cases = corpus.cases.filter { $0.kind == "config" }
    #expect(cases.count == 58)
    for entry in cases {
      let bytes = try corpus.bytes(of: entry)
      do throws(ModelError) {
        let configuration = try ModelConfiguration(bytes, path: entry.file)
        _ = try DescribedModel(configuration: configuration, tensorNames: [])
        #expect(entry.isAccepted, "\(entry.file): \(entry.why)")
      } catch {
        #expect(!entry.isAccepted, "\(error)")
        #expect(error.failureClass == .malformed, "\(error)")
        #expect(error.description.utf8.count < 400)
      }
    }
  }

  @Test func geometryOfHeads() throws {
    #expect(try Self.describe([:], without: ["head_dim"]).layers[0].attention.headDim == 16)
    #expect(try Self.describe(["head_dim": NSNull()]).layers[0].attention.headDim == 16)
    #expect(try Self.describe(["head_dim": 24]).layers[0].attention.headDim == 24)
    #expect(
      try Self.describe([:], without: ["num_key_value_heads"]).layers[0].attention.kvHeads == 4)
    #expect(try Self.describe(["num_key_value_heads": 1]).layers[0].attention.group == 4)
  }

  /// As transformers ties: what is stored is used, and one stands for both where the key says so.
  @Test func tyingGoesByTheFileAndTheKey() throws {
    let embedding = "model.embed_tokens.weight"
    let head = "lm_head.weight"
    func ends(_ members: [String: any Sendable], _ tensors: Set<String>) throws -> [String] {
      let model = try Self.describe(members, tensors: tensors)
      return [model.embedding, model.outputHead.weight]
    }
    let tied = ["tie_word_embeddings": true]
    #expect(try ends(tied, [embedding]) == [embedding, embedding])
    #expect(try ends(tied, [head]) == [head, head])
    for members in [tied, ["tie_word_embeddings": false], [:]] {
      #expect(try ends(members, [embedding, head]) == [embedding, head])
    }
    for members: [String: any Sendable] in [[:], ["tie_word_embeddings": false]] {
      let error = #expect(throws: ModelError.self) { try ends(members, [embedding]) }
      #expect(error?.code == .inconsistent)
      #expect(error?.description.contains("no tensor \"lm_head.weight\" is there") == true)
    }
    #expect(
      try ends(["model_type": "starcoder2"], [embedding]) == [embedding, embedding],
      "the default of this family is to tie")
  }

  @Test(arguments: [
    ("missing_key", ["num_hidden_layers": nil] as [String: (any Sendable)?]),
    ("wrong_type", ["hidden_size": "64"]), ("out_of_range", ["hidden_size": 0]),
    ("inconsistent", ["num_key_value_heads": 3]), ("inconsistent", ["head_dim": 15]),
    ("unknown_model_type", ["model_type": "gpt7"]),
    ("unsupported_model", ["model_type": "deepseek_v3"]),
    ("unsupported_model", ["per_layer_config": ["0": ["head_dim": 8]]]),
    ("unsupported_model", ["layer_types": ["foo", "full_attention"]]),
    ("inconsistent", ["layer_types": ["full_attention"]]),
    ("wrong_type", ["hidden_act": NSNull()]), ("wrong_type", ["rms_norm_eps": NSNull()]),
    ("unsupported_model", ["model_type": "stablelm", "head_dim": 24] as [String: any Sendable]),
    ("unsupported_model", ["rope_scaling": ["type": "proportional"]]),
    ("missing_key", ["rope_scaling": ["type": "linear"]]),
    ("out_of_range", ["rope_scaling": ["type": "linear", "factor": -1] as [String: any Sendable]]),
    ("out_of_range", ["rope_theta": 0]),
    (
      "out_of_range",
      ["model_type": "stablelm", "partial_rotary_factor": 1.5] as [String: any Sendable]
    ),
    ("wrong_type", ["rope_scaling": [1]]),
    (
      "out_of_range",
      [
        "rope_scaling": [
          "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
        ] as [String: any Sendable]
      ]
    ),
    (
      "out_of_range",
      [
        "rope_scaling": [
          "type": "longrope", "factor": 2, "original_max_position_embeddings": 1,
          "short_factor": [1, 1, 1, 1, 1, 1, 1, 1], "long_factor": [1, 1, 1, 1, 1, 1, 1, 1],
        ] as [String: any Sendable]
      ]
    ),
    (
      "out_of_range",
      ["num_hidden_layers": 4096, "num_attention_heads": 4096, "num_key_value_heads": 1]
    ),
  ])
  func refusals(_ code: String, _ members: [String: (any Sendable)?]) {
    do {
      let missing = members.filter { $0.value == nil }.map(\.key)
      _ = try Self.describe(members.compactMapValues { $0 }, without: missing)
      Issue.record("accepted")
    } catch let error as ModelError {
      #expect(error.code.rawValue == code)
    } catch {
      Issue.record(error)
    }
  }

  @Test func textAboveTheLimit() {
    let text = [UInt8](repeating: 0x20, count: ModelConfiguration.byteLimit + 1)
    let error = #expect(throws: ModelError.self) { try ModelConfiguration(text, path: "c") }
    #expect(error?.failureClass == .limitExceeded)
  }

  /// The two places where a file says how many rows and columns share a scale; text says nothing.
  @Test func blocksOfScales() throws {
    func block(_ quantization: String) throws -> [Int]? {
      let text = #"{"model_type": "llama", "quantization_config": \#(quantization)}"#
      let configuration = try ModelConfiguration(Array(text.utf8), path: "c")
      return try QuantisedWeights(of: configuration)?.block.map { [$0.rows, $0.columns] }
    }
    #expect(try block(#"{"quant_method": "fp8", "weight_block_size": [128, 64]}"#) == [128, 64])
    func groups(_ first: String, _ second: String) -> String {
      #"{"config_groups": {"g0": {"weights": {"block_structure": \#(first)}}, "g1": "#
        + #"{"weights": {"block_structure": \#(second)}}, "other": 1}}"#
    }
    #expect(try block(groups("[128, 128]", "[128, 128]")) == [128, 128])
    #expect(try block(groups("[128, 128]", #""128x128""#)) == [128, 128])
    #expect(try block(groups("[128, 128]", "[64, 64]")) == nil)
    #expect(try block(groups("[128]", "[128]")) == nil)
  }

  /// The nearest way out, and not a list of all families.
  @Test(arguments: [
    ("qwen3_next", "nearest is qwen3:"), ("lama", "nearest is llama:"),
    ("mistral5", "nearest is mistral:"), ("gpt7", "masks can be imported, inspected and exported"),
  ])
  func unknownTypeNamesAWayOut(type: String, way: String) throws {
    let error = #expect(throws: ModelError.self) { try Self.describe(["model_type": type]) }
    #expect(error?.code == .unknownModelType)
    let text = error?.description ?? ""
    #expect(text.contains("model_type \"\(type)\" is not known; \(way)"), "\(text)")
    #expect(text.utf8.count < 200)
  }

  @Test func unknownWrapper() throws {
    let error = #expect(throws: ModelError.self) {
      try Self.describe(["model_type": "seeing7", "text_config": [String: String]()])
    }
    #expect(error?.description.contains("save its language model by itself") == true)
  }

  /// Some are other names of what is computed; the rest is for the decoder to refuse.
  @Test func activations() throws {
    func activation(_ name: String) throws -> Activation? {
      let model = try Self.describe(["hidden_act": name])
      if case .gated(_, _, _, let activation) = model.layers[0].feedForward { return activation }
      return nil
    }
    for name in ["gelu_fast", "gelu_new", "gelu_accurate", "gelu_pytorch_tanh"] {
      #expect(try activation(name) == .geluTanh)
    }
    #expect(try activation("gelu_python") == .gelu)
    #expect(try activation("mish") == .other("mish"))
    #expect(try Self.describe(["hidden_act": "mish"]).unknownActivation == "mish")
    #expect(try Self.describe([:]).unknownActivation == nil)
  }

  /// The language model that a wrapper's class takes where `text_config` does not name one.
  @Test(arguments: [
    ("llava", "silu"), ("vipllava", "silu"), ("gemma3", "gelu"), ("mistral3", "silu"),
    ("internvl", "silu"), ("qwen2_vl", "silu"), ("cohere2_vision", "silu"),
  ])
  func textWithoutType(wrapper: String, activation: String) throws {
    var text: [String: any Sendable] = [
      "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
      "num_key_value_heads": 2, "intermediate_size": 96,
    ]
    if wrapper == "qwen2_vl" {
      text["rope_scaling"] =
        ["type": "mrope", "mrope_section": [2, 3, 3]] as [String: any Sendable]
    }
    let model = try Self.describe(["model_type": wrapper, "text_config": text])
    #expect(model.modelType == wrapper)
    if case .gated(_, _, _, let found) = model.layers[0].feedForward {
      #expect((found == .geluTanh) == (activation == "gelu"))
    }
  }

  @Test func scalingInBothDialects() throws {
    let four = try Self.rotary([
      "rope_theta": 500.0,
      "rope_scaling": ["type": "linear", "factor": 4] as [String: any Sendable],
    ])
    let five = try Self.rotary([
      "rope_parameters": ["rope_type": "linear", "factor": 4, "rope_theta": 500]
        as [String: any Sendable]
    ])
    #expect(four == five)
    #expect(four?.scaling == .linear(factor: 4))
    #expect(four?.theta == 500)
    #expect(
      try Self.rotary([
        "rope_scaling": ["rope_type": "dynamic", "factor": 2] as [String: any Sendable]
      ])?.scaling == .dynamic(factor: 2, originalPositions: 512))
  }

  /// Attention factors as transformers computes them: 0.1 ln(factor) + 1, the quotient of two such
  /// with `mscale`, and sqrt(1 + ln(factor) / ln(original)).
  @Test func attentionFactors() throws {
    func factor(_ scaling: [String: any Sendable]) throws -> Double? {
      switch try Self.rotary(["rope_scaling": scaling])?.scaling {
      case .yarn(_, _, _, _, _, let factor), .longrope(_, _, _, let factor): factor
      default: nil
      }
    }
    let yarn: [String: any Sendable] = [
      "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128,
    ]
    #expect(try abs((factor(yarn) ?? 0) - (0.1 * log(4.0) + 1)) < 1e-12)
    let scaled = yarn.merging(["mscale": 0.7, "mscale_all_dim": 1.0]) { $1 }
    #expect(
      try abs((factor(scaled) ?? 0) - (0.07 * log(4.0) + 1) / (0.1 * log(4.0) + 1)) < 1e-12)
    #expect(try factor(yarn.merging(["attention_factor": 1.25]) { $1 }) == 1.25)
    let ones = [Double](repeating: 1, count: 8)
    let long: [String: any Sendable] = [
      "type": "longrope", "short_factor": ones, "long_factor": ones,
      "original_max_position_embeddings": 64,
    ]
    #expect(try abs((factor(long) ?? 0) - (1 + log(8.0) / log(64.0)).squareRoot()) < 1e-12)
    #expect(throws: ModelError(.outOfRange, "")) {
      try factor(long.merging(["short_factor": [1.0]]) { $1 })
    }
  }

  @Test func partialAndAbsentRotation() throws {
    #expect(
      try Self.rotary(["model_type": "stablelm", "partial_rotary_factor": 0.5])?.geometry.width
        == 8)
    #expect(try Self.rotary(["partial_rotary_factor": 0.25])?.geometry.width == 16)
    let neox = try Self.describe(
      ["model_type": "gpt_neox", "rotary_pct": 0.5, "rotary_emb_base": 500],
      without: ["num_key_value_heads"])
    #expect(neox.layers[0].attention.rotary?.geometry.width == 8)
    #expect(neox.layers[0].attention.rotary?.theta == 500)
  }

  /// The old Falcon layouts have no reference checkpoint; rows as `FalconAttention._split_heads` cuts
  /// them.
  @Test func falconLayouts() throws {
    let base: [String: any Sendable] = ["model_type": "falcon", "num_kv_heads": 4, "alibi": false]
    let multiQuery = try Self.describe(base, without: ["head_dim"]).layers[0].attention
    #expect(multiQuery.kvHeads == 1)
    #expect(multiQuery.query.heads == [0..<16, 16..<32, 32..<48, 48..<64])
    #expect(multiQuery.key.heads == [64..<80])
    #expect(multiQuery.value.heads == [80..<96])
    let perHead = try Self.describe(
      base.merging(["multi_query": false]) { $1 }, without: ["head_dim"]
    ).layers[0].attention
    #expect(perHead.query.heads[1] == 48..<64)
    #expect(perHead.key.heads[1] == 64..<80)
    #expect(perHead.value.heads[3] == 176..<192)
    #expect(throws: ModelError(.unsupportedModel, "")) {
      try Self.describe(["model_type": "falcon", "alibi": true])
    }
  }

  @Test func windowsOfQwen() throws {
    let windows = try Self.describe([
      "model_type": "qwen2", "use_sliding_window": true, "sliding_window": 32,
      "max_window_layers": 1,
    ]).layers.map(\.attention.slidingWindow)
    #expect(windows == [nil, 32])
  }
}
