import Foundation
import LeanKCommands
import LeanKModel
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// Language models inside multimodal checkpoints. `gemma3`, `llava` and `qwen2_vl` of the references
/// go through `FamilyTests` too; here are the other spellings, and what is refused.
@Suite("Wrappers")
struct WrapperTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(
    "transformers 5's own tensor names are found too", arguments: ["gemma3", "llava", "qwen2_vl"])
  func newNames(name: String) throws {
    let model = try copyModel(name, to: directory)
    let path = model + "/model.safetensors"
    let file = try SafetensorsFile(path: path)
    let arrays = try file.header.tensors.map { tensor in
      (
        tensor.name.replacing("language_model.model.", with: "model.")
          .replacing("language_model.lm_head", with: "lm_head")
          .replacing(/^model\./, with: "model.language_model."), try file.array(tensor)
      )
    }
    try Data(encodeSafetensors(arrays)).write(to: URL(filePath: path))
    try expectLogits(of: name, from: model)
  }

  @Test("Qwen's first files have the language model's keys outside")
  func flatConfiguration() throws {
    let model = try copyModel("qwen2_vl", to: directory, configuration: "config_v4.json")
    try edit(model) { config in
      let text = try #require(config.removeValue(forKey: "text_config") as? [String: Any])
      config.merge(text) { outer, _ in outer }
      config["rope_scaling"] = ["type": "mrope", "mrope_section": [2, 3, 3]]
    }
    try expectLogits(of: "qwen2_vl", from: model)
  }

  @Test(
    "every known wrapper's language model is described",
    arguments: ModelFamily.wrappers.flatMap(\.modelTypes).filter { !$0.hasPrefix("qwen") })
  func everyWrapper(type: String) throws {
    let model = try copyModel("llava", to: directory)
    try edit(model) { $0["model_type"] = type }
    let report = try leank(expecting: 0, ["inspect", model, "--json"]).json
    #expect(report["model_type"]?.string == type)
    #expect(report["layouts"]?.children.map { $0.value["possible"]?.bool } == [true, true, true])
  }

  @Test(
    "other wrappers are refused by name",
    arguments: [
      ("llama4", "nearest is llava"), ("mllama", "nearest is llava"),
      ("kimi_vl", "save its language model by itself"),
    ])
  func unknownWrappers(type: String, way: String) throws {
    let model = try copyModel("llava", to: directory)
    try edit(model) { $0["model_type"] = type }
    let run = convert(model)
    #expect(run.code == 4)
    #expect(run.diagnostics.contains("multimodal model_type \"\(type)\" is not known"))
    #expect(run.diagnostics.contains(way))
  }

  @Test("an unknown language model inside a known wrapper is refused by its own name")
  func unknownInside() throws {
    let model = try copyModel("llava", to: directory)
    for (inside, words) in [("lhama", "\"lhama\" is not known"), ("llava", "inside a wrapper")] {
      try edit(model) { config in
        var text = try #require(config["text_config"] as? [String: Any])
        text["model_type"] = inside
        config["text_config"] = text
      }
      let run = convert(model)
      #expect(run.code == 4)
      #expect(run.diagnostics.contains(words), "\(run.diagnostics)")
      #expect(run.diagnostics.contains("text_config"), "\(run.diagnostics)")
    }
  }

  @Test(
    "latent attention is refused with the reason, known by name or by its keys",
    arguments: [
      "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "minicpm3", "glm4_moe_lite", "new",
    ])
  func latentAttention(type: String) throws {
    let model = try copyModel("llama_gqa", to: directory)
    try edit(model) {
      $0["model_type"] = type
      $0["kv_lora_rank"] = 512
    }
    for run in [convert(model), leank("inspect", model)] {
      #expect(run.code == 4)
      #expect(run.diagnostics.contains("latent"), "\(run.diagnostics)")
      #expect(run.diagnostics.contains("no key channels to prune"))
    }
  }

  private func convert(_ model: String) -> CommandRun {
    leank(
      "convert", "--model", model, "--mask", Fixtures.path("Reference/llava/mask.npy"), "--output",
      directory.path("out"), "--quiet")
  }

  private func edit(_ model: String, _ change: (inout [String: Any]) throws -> Void) throws {
    let path = URL(filePath: model + "/config.json")
    let object = try JSONSerialization.jsonObject(with: try Data(contentsOf: path))
    var config = try #require(object as? [String: Any])
    try change(&config)
    try JSONSerialization.data(withJSONObject: config).write(to: path)
  }

  /// Static logits of `model` are those of the reference `name`.
  private func expectLogits(of name: String, from model: String) throws {
    let reference = Fixtures.path("Reference/\(name)/reference.safetensors")
    let saved = directory.path("logits.safetensors")
    try leank(
      expecting: 0,
      [
        "verify", model, "--mask", Fixtures.path("Reference/\(name)/mask.npy"), "--tokens",
        reference,
        "--prompt-length", "24", "--mode", "static", "--save-logits", saved,
      ])
    for side in ["logits_dense", "logits_masked"] {
      let difference = largestDifference(
        try floats(side, in: saved), try floats(side, in: reference))
      #expect(difference <= 3e-5, "\(side)")
    }
  }
}
