import Foundation
import LeanKCommands
import StrictJSON
import TestSupport
import Testing

/// Every reference model against transformers' logits, through the command line: both config
/// dialects, every mode, and converted checkpoints.
@Suite("Families")
struct FamilyTests {
  /// Models in `Fixtures/Reference`.
  static let models =
    (try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("Reference")))?
    .filter { !$0.hasSuffix(".safetensors") && !$0.hasSuffix(".json") && !$0.hasPrefix(".") }
    .sorted() ?? []

  /// Models whose logits are large: float64 differs from the references by up to 1.7e-5.
  static let bigLogits: Set = ["llama_tied_headdim", "qwen2_yarn", "smollm3"]

  private static let windowed = ["--mode", "windowed", "--sink", "4", "--recent", "8"]
  /// Arrays of the references and the options that ask for them.
  private static let modes: [(array: String, options: [String])] = [
    ("logits_masked", ["--mode", "static"]),
    ("logits_deploy", windowed + ["--accumulate", "4"]),
    ("logits_windowed_excluded", windowed + ["--accumulate", "1", "--prefill", "windowed"]),
    (
      "logits_windowed_zeroscore",
      windowed + ["--accumulate", "1", "--prefill", "windowed", "--empty-heads", "zero"]
    ),
  ]

  @Test("there are models to test")
  func someModels() { #expect(Self.models.count >= 4) }

  @Test(
    "logits in every mode are those of transformers",
    arguments: models, ["config.json", "config_v4.json"])
  func modes(name: String, configuration: String) throws {
    let tolerance: Float = Self.bigLogits.contains(name) ? 1e-4 : 3e-5
    let directory = try TemporaryDirectory()
    let model = try copyModel(name, to: directory, configuration: configuration)
    let reference = Fixtures.path("Reference/\(name)/reference.safetensors")
    let saved = directory.path("logits.safetensors")
    let dense = try floats("logits_dense", in: reference)
    for mode in Self.modes {
      // Falcon's attention could be patched for the static mode only.
      guard try hasTensor(mode.array, in: reference) else {
        #expect(name.hasPrefix("falcon"))
        continue
      }
      let expected = try floats(mode.array, in: reference)
      try leank(
        expecting: 0,
        [
          "verify", model, "--mask", Fixtures.path("Reference/\(name)/mask.npy"), "--tokens",
          reference, "--prompt-length", "24", "--save-logits", saved,
        ] + mode.options)
      #expect(largestDifference(try floats("logits_dense", in: saved), dense) <= tolerance)
      for side in ["logits_masked", "logits_pruned"] {
        let difference = largestDifference(try floats(side, in: saved), expected)
        #expect(difference <= tolerance, "\(mode.array), \(side)")
      }
    }
  }

  @Test(
    "converted checkpoints compute the mask, with transformers' logits and continuation",
    arguments: models, ["rows", "cache", "zeroed"])
  func layouts(name: String, layout: String) throws {
    let tolerance: Float = Self.bigLogits.contains(name) ? 1e-4 : 3e-5
    let directory = try TemporaryDirectory()
    let model = try copyModel(name, to: directory)
    let reference = Fixtures.path("Reference/\(name)/reference.safetensors")
    let output = directory.path("out")
    let saved = directory.path("logits.safetensors")
    let convert = CommandRun([
      "convert", "--model", model, "--mask", Fixtures.path("Reference/\(name)/mask.npy"),
      "--output", output, "--layout", layout, "--verify", "--quiet",
    ])
    if layout != "cache", Self.normed.contains(name) {
      #expect(convert.code == 4)
      #expect(convert.diagnostics.contains("--layout cache"))
      return
    }
    try #require(convert.code == 0, "\(convert.diagnostics)")
    let run = try leank(
      expecting: 0,
      [
        "verify", model, output, "--tokens", reference, "--prompt-length", "24", "--greedy", "16",
        "--save-logits", saved, "--json",
      ])
    let greedy = try #require(try run.json["greedy"])
    let expectedGreedy = try integers("greedy_masked", in: reference)
    if layout == "zeroed" {
      // Zeroed weights compute the closure, a mask that the references do not have.
      #expect(try run.json["passed"]?.bool == true)
    } else {
      let expected = try floats("logits_masked", in: reference)
      for side in ["logits_masked", "logits_pruned"] {
        #expect(largestDifference(try floats(side, in: saved), expected) <= tolerance, "\(side)")
      }
      #expect(greedy["pruned"]?.children.map { $0.value.integer } == expectedGreedy)
    }
    #expect(
      greedy["dense"]?.children.map { $0.value.integer }
        == (try integers("greedy_dense", in: reference)))
  }

  /// Models that normalise queries and keys.
  static let normed: Set = [
    "qwen3", "qwen3_moe", "gemma3", "gemma3_text", "olmo2", "exaone4", "cohere", "stablelm_qkln",
  ]
}
