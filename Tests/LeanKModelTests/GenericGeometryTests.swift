import ByteIO
import Foundation
import LeanKMask
import TestSupport
import Testing

@testable import LeanKModel

/// Geometry of models that no family knows, against what transformers caches.
@Suite struct GenericGeometryTests {
  /// A cache may leave out layers without keys at its end.
  private static func isEqual(_ own: [[Int]?], _ run: [[Int]?]) -> Bool {
    let missing = own.dropFirst(run.count).allSatisfy { $0 == nil }
    return missing && Array(own.prefix(run.count)) == run
  }

  /// Types by outcome, with the reason of those that are refused; `Caches/table.tsv` is this table.
  @Test func neverWrong() throws {
    #expect(CacheFixture.all.count >= 210)
    var lines: [String] = []
    var right = 0
    var unknown = 0
    for model in CacheFixture.all.sorted(by: { $0.name < $1.name }) {
      do throws(ModelError) {
        let geometry = try model.geometry()
        #expect(Self.isEqual(geometry.cache, model.cache), "\(model.name)")
        right += 1
        unknown += geometry.description == nil ? 1 : 0
        let way =
          geometry.description != nil ? "family" : geometry.knowsRows ? "rows" : "cache"
        lines.append("\(model.name)\tright\t\(way)")
      } catch {
        #expect(error.failureClass == .unsupported, "\(model.name): \(error)")
        lines.append("\(model.name)\trefused\t\(error.detail)")
      }
    }
    #expect(right >= 155)
    #expect(unknown >= 115)
    let table = lines.joined(separator: "\n") + "\n"
    let expected = try String(decoding: Fixtures.bytes("Caches/table.tsv"), as: UTF8.self)
    guard table != expected else { return }
    let place = FileManager.default.temporaryDirectory.appending(path: "table.tsv")
    try table.write(to: place, atomically: true, encoding: .utf8)
    Issue.record("the table is another one, see \(place.path)")
  }

  /// The types most asked for.
  @Test(arguments: [
    "qwen3_5", "qwen3_5_moe", "qwen3_next", "gemma4", "qwen3_vl_moe", "ministral3", "olmo3",
    "minimax_m2", "glm4_moe", "nemotron_h", "granitemoehybrid", "lfm2", "llama4_text", "seed_oss",
    "ernie4_5",
  ])
  func wanted(name: String) throws {
    let model = try #require(CacheFixture.all.first { $0.name == name })
    #expect(Self.isEqual(try model.geometry().cache, model.cache))
  }

  private static let unknown = CacheFixture.all.filter {
    (try? $0.geometry()).map { $0.description == nil } ?? false
  }

  /// Whatever one key says, what tensors do not bear out is refused, and never another geometry.
  @Test func otherConfigurations() throws {
    let keys = [
      "head_dim", "num_key_value_heads", "hidden_size", "num_hidden_layers", "v_head_dim",
      "global_head_dim", "num_global_key_value_heads", "swa_head_dim", "swa_num_key_value_heads",
      "num_kv_shared_layers", "num_nextn_predict_layers",
    ]
    var refused = 0
    for model in Self.unknown {
      let layers = try model.geometry().layers
      var changes: [[String: (any Sendable)?]] = keys.flatMap { key in
        [1, 48].map { [key: $0] } + [[key: nil]]
      }
      for index in layers.indices {
        for word in ["linear_attention", "sliding_attention"] {
          var words = layers.map { $0.geometry.hasCache ? "full_attention" : "mamba" }
          words[index] = word
          changes.append(["layer_types": words])
        }
      }
      for change in changes {
        // Its files have keys of these layers, too, so the key alone decides.
        if model.name.hasPrefix("gemma3n"), change["num_kv_shared_layers"] != nil { continue }
        do {
          let found = try model.geometry(try model.config(change))
          #expect(
            found.layers.map(\.geometry) == layers.map(\.geometry)
              && found.layers.map(\.valueDim) == layers.map(\.valueDim), "\(model.name) \(change)")
        } catch {
          refused += 1
        }
      }
    }
    #expect(refused > 1200)
  }

  /// Tensors of other shapes, missing ones and further ones are named.
  @Test func otherTensors() throws {
    for model in Self.unknown {
      let layers = try model.geometry().layers
      let index = try #require(layers.lastIndex { $0.geometry.hasCache })
      let key = try #require(layers[index].keyWeight)
      let shape = try #require(model.shapes[key])
      var more = model.shapes
      more[key] = [shape[0] + layers[index].geometry.headDim, shape[1]]
      var less = model.shapes
      less[key] = nil
      for shapes in [more, less] {
        let error = #expect(throws: ModelError.self) { try model.geometry(nil, shapes) }
        let place = key.split(separator: ".").dropLast(2).joined(separator: ".")
        let text = error?.description ?? ""
        let isNamed = [place, "layer \(index) ", "no tensor is called"].contains {
          text.contains($0)
        }
        #expect(isNamed, "\(model.name): \(text)")
      }
      var further = model.shapes
      further[key.replacing(".\(index).", with: ".\(layers.count).")] = shape
      #expect(throws: ModelError.self) { try model.geometry(nil, further) }
    }
  }

  /// One key that a decoder with keys of its own, cached once, does not have.
  @Test(arguments: [
    (#"{"kv_lora_rank":16}"#, "latent attention"),
    (#"{"is_encoder_decoder":true}"#, "at key \"is_encoder_decoder\""),
    (#"{"use_bidirectional_attention":true}"#, "at key \"use_bidirectional_attention\""),
    (#"{"architectures":["GPT7ForMaskedLM"]}"#, "at key \"architectures\""),
    (#"{"num_loops":2}"#, "at key \"num_loops\""),
    (#"{"total_ut_steps":4}"#, "at key \"total_ut_steps\""),
    (#"{"cla_share_factor":2}"#, "at key \"cla_share_factor\""),
    (#"{"layer_types":["full_attention","lightning"]}"#, "layer type \"lightning\" is not known"),
    (#"{"layer_types":["full_attention"]}"#, "at key \"layer_types\""),
    (#"{"hybrid_override_pattern":"*X"}"#, "layer type \"X\" is not known"),
    (#"{"attn_type_list":[1,0]}"#, "at key \"attn_type_list\""),
    (#"{"per_layer_config":{"0-1":{}}}"#, "at key \"per_layer_config.0-1\""),
    (#"{"per_layer_config":{"1":{"head_dim":12}}}"#, "layers.1.self_attn.k_proj.weight"),
    (#"{"key_head_dim":8}"#, "at key \"key_head_dim\""),
    (#"{"num_kv_heads":2}"#, "at key \"num_kv_heads\""),
    (#"{"swa_head_dim":8}"#, "at key \"swa_head_dim\""),
    (#"{"num_kv_shared_layers":1}"#, "layers.1.self_attn.k_proj.weight"),
    (#"{"num_key_value_heads":3}"#, "at key \"num_key_value_heads\""),
    (#"{"text_config":{"head_dim":8}}"#, "at key"),
    (#"{"num_hidden_layers":3}"#, "at key \"num_hidden_layers\""),
  ])
  func refusals(members: String, reason: String) throws {
    var object: [String: Any] = [
      "model_type": "gpt7", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 24,
    ]
    let shapes = Self.shapes(layers: 2)
    func geometry() throws -> ModelGeometry {
      try ModelGeometry(
        configuration: ModelConfiguration(
          [UInt8](try JSONSerialization.data(withJSONObject: object)), path: "config.json"),
        shapes: shapes)
    }
    #expect(try geometry().cache == [[2, 24, 2, 24], [2, 24, 2, 24]])
    let added = try JSONSerialization.jsonObject(with: Data(members.utf8)) as? [String: Any]
    object.merge(try #require(added)) { $1 }
    let error = #expect(throws: ModelError.self) { try geometry() }
    #expect(error?.failureClass == .unsupported)
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  private static func shapes(layers: Int) -> [String: [Int]] {
    var shapes = ["model.embed_tokens.weight": [128, 64]]
    for layer in 0..<layers {
      let prefix = "model.layers.\(layer).self_attn."
      shapes[prefix + "q_proj.weight"] = [96, 64]
      shapes[prefix + "k_proj.weight"] = [48, 64]
      shapes[prefix + "v_proj.weight"] = [48, 64]
      shapes[prefix + "o_proj.weight"] = [64, 96]
    }
    return shapes
  }

  /// Packed weights, where the format says how, and where it does not.
  @Test(arguments: [
    (#"{"quant_method":"gptq","bits":4}"#, ".qweight", 8, false),
    (#"{"quant_method":"awq","bits":4}"#, ".qweight", 8, true),
    (
      #"{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"group_0":{"weights":{"num_bits":4}}}}"#,
      ".weight_packed", 8, nil
    ),
    (
      #"{"quant_method":"compressed-tensors","format":"nvfp4-pack-quantized","config_groups":{"group_0":{"weights":{"num_bits":4}}}}"#,
      ".weight_packed", 2, nil
    ),
  ])
  func packed(config: String, suffix: String, each: Int, packsRows: Bool?) throws {
    var shapes: [String: [Int]] = [:]
    for (name, shape) in Self.shapes(layers: 2) {
      guard name.contains("_proj") else {
        shapes[name] = shape
        continue
      }
      let (rows, columns) = (shape[0], shape[1])
      let packed =
        switch packsRows {
        case nil: [rows, columns / each]
        case false?: [columns / each, rows]
        case true?: [columns, rows / each]
        }
      shapes[name.replacing(".weight", with: suffix)] = packed
    }
    func geometry(_ quantization: String) throws -> ModelGeometry {
      let text =
        #"{"model_type":"gpt7","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"#
        + #""num_key_value_heads":2,"head_dim":24,"quantization_config":"# + quantization + "}"
      return try ModelGeometry(
        configuration: ModelConfiguration(Array(text.utf8), path: "config.json"), shapes: shapes)
    }
    #expect(try geometry(config).cache == [[2, 24, 2, 24], [2, 24, 2, 24]])
    let error = #expect(throws: ModelError.self) { try geometry(#"{"quant_method":"new"}"#) }
    #expect(error?.description.contains("does not say how its shape is to be read") == true)
    shapes["model.layers.1.self_attn.k_proj" + suffix]?[packsRows == nil ? 0 : 1] += 8
    let other = #expect(throws: ModelError.self) { try geometry(config) }
    #expect(other?.description.contains("layers.1.self_attn.k_proj" + suffix) == true)
  }
}
