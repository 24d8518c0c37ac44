import Foundation
import LeanKCommands
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// Checkpoints whose weights are stored with scales, or packed.
@Suite("Quantised checkpoints")
struct QuantisedTests {
  private let directory: TemporaryDirectory
  private let dense: String
  private let fixture = Fixtures.path("Quantised/llama_fp8")

  init() throws {
    directory = try TemporaryDirectory()
    dense = directory.path("dense")
    try FileManager.default.createDirectory(atPath: dense, withIntermediateDirectories: true)
    for file in ["config.json", "model.safetensors"] {
      try FileManager.default.copyItem(
        atPath: Fixtures.path("Quantised/llama_fp8/\(file)"), toPath: dense + "/" + file)
    }
  }

  @Test(
    "FP8 with scales is sliced with them and computes what torch dequantised",
    arguments: ["rows", "cache", "zeroed"])
  func scaledWeights(layout: String) throws {
    let output = directory.path("out")
    let saved = directory.path("logits.safetensors")
    let reference = fixture + "/reference.safetensors"
    try leank(
      expecting: 0,
      [
        "convert", "--model", dense, "--mask", fixture + "/mask.npy", "--output", output,
        "--layout",
        layout, "--verify", "--quiet",
      ])
    let run = try leank(
      expecting: 0,
      [
        "verify", dense, output, "--tokens", reference, "--prompt-length", "24", "--greedy", "16",
        "--save-logits", saved, "--json",
      ])
    let expectedDense = try floats("logits_dense", in: reference)
    #expect(largestDifference(try floats("logits_dense", in: saved), expectedDense) <= 3e-5)
    guard layout != "zeroed" else { return }
    let expected = try floats("logits_masked", in: reference)
    for side in ["logits_masked", "logits_pruned"] {
      #expect(largestDifference(try floats(side, in: saved), expected) <= 3e-5, "\(side)")
    }
    let greedy = try #require(try run.json["greedy"])
    #expect(
      greedy["pruned"]?.children.map { $0.value.integer }
        == (try integers("greedy_masked", in: reference)))
  }

  @Test("a mask that takes a part of a block is refused by the scales' name")
  func partialBlocks() {
    for layout in ["rows", "cache"] {
      let run = leank(
        "convert", "--model", dense, "--mask", Fixtures.path("Reference/llama_llama3rope/mask.npy"),
        "--output", directory.path(layout), "--layout", layout, "--quiet")
      #expect(run.code == (layout == "rows" ? 4 : 0))
      guard layout == "rows" else { continue }
      #expect(run.diagnostics.contains("model.layers.2.self_attn.k_proj.weight_scale_inv"))
      #expect(run.diagnostics.contains("blocks of 16 rows"))
      #expect(run.diagnostics.contains("--layout cache"))
    }
  }

  /// Forms of packed projections: their tensors in place of `weight`, and the method's name.
  private static let packed: [(method: String, suffixes: [String])] = [
    ("gptq", ["qweight", "qzeros", "scales", "g_idx"]),
    ("awq", ["qweight", "qzeros", "scales"]),
    ("compressed-tensors", ["weight_packed", "weight_scale", "weight_shape"]),
    ("bitsandbytes", ["weight", "weight.absmax", "weight.quant_state.bitsandbytes__nf4"]),
  ]

  @Test(
    "packed weights convert as cache; rows and decoding are refused by name",
    arguments: packed.indices)
  func packedWeights(index: Int) throws {
    let (method, suffixes) = Self.packed[index]
    try pack(method: method, suffixes: suffixes, where: { $0.hasSuffix("_proj.weight") })
    let mask = Fixtures.path("Reference/llama_gqa/mask.npy")
    func convert(_ layout: String) -> CommandRun {
      leank(
        "convert", "--model", dense, "--mask", mask, "--output", directory.path(layout), "--layout",
        layout, "--verify", "--quiet")
    }
    for layout in ["rows", "zeroed"] {
      let run = convert(layout)
      #expect(run.code == 4)
      #expect(run.diagnostics.contains("_proj"), "\(run.diagnostics)")
      #expect(run.diagnostics.contains("quantised"), "\(run.diagnostics)")
    }
    #expect(convert("cache").code == 0)
    let structure = leank("verify", dense, directory.path("cache"), "--structure-only")
    #expect(structure.code == 0, "\(structure.diagnostics)")
    let numeric = leank("verify", dense, directory.path("cache"))
    #expect(numeric.code == 4)
    #expect(numeric.diagnostics.contains("--structure-only"), "\(numeric.diagnostics)")
    let inspect = try leank(expecting: 0, ["inspect", dense, "--json"])
    #expect(try inspect.json["quantization"]?.string == method)
    let possible = try #require(try inspect.json["layouts"]).children.map {
      $0.value["possible"]?.bool
    }
    #expect(possible == [false, true, false])
  }

  /// GPT-OSS packs its experts only; Q and K are as they were.
  @Test("packed experts do not stand in the way of rows")
  func packedExperts() throws {
    try FileManager.default.removeItem(atPath: dense)
    _ = try copyModel("gpt_oss", to: directory)
    try pack(
      method: "mxfp4", suffixes: ["_blocks", "_scales"], where: { $0.hasSuffix("_up_proj") },
      joined: true)
    let output = directory.path("out")
    try leank(
      expecting: 0,
      [
        "convert", "--model", dense, "--mask", Fixtures.path("Reference/gpt_oss/mask.npy"),
        "--output", output, "--quiet",
      ])
    try leank(expecting: 0, ["verify", dense, output, "--structure-only"])
    let numeric = leank("verify", dense, output)
    #expect(numeric.code == 4)
    #expect(numeric.diagnostics.contains("gate_up_proj"))
  }

  /// Replaces weights by tensors of bytes, and says so in config.json.
  private func pack(
    method: String, suffixes: [String], where isPacked: (String) -> Bool, joined: Bool = false
  ) throws {
    let source = joined ? dense : Fixtures.path("Reference/llama_gqa")
    let file = try SafetensorsFile(path: source + "/model.safetensors")
    let arrays = try file.header.tensors.flatMap { tensor in
      guard isPacked(tensor.name) else { return [(tensor.name, try file.array(tensor))] }
      let base = joined ? tensor.name : String(tensor.name.dropLast("weight".count))
      return suffixes.map {
        (
          base + $0,
          TensorArray(scalar: .u8, shape: [4, 2], bytes: [UInt8](repeating: 7, count: 8))
        )
      }
    }
    let text = try String(contentsOfFile: source + "/config.json", encoding: .utf8)
    try text.replacing(
      "{\n", with: "{\n \"quantization_config\": {\"quant_method\": \"\(method)\"},\n",
      maxReplacements: 1
    ).write(toFile: dense + "/config.json", atomically: true, encoding: .utf8)
    try Data(encodeSafetensors(arrays)).write(to: URL(filePath: dense + "/model.safetensors"))
  }
}
