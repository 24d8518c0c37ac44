import Foundation
import LeanKCommands
import StrictJSON
import TestSupport
import Testing

/// `verify --exact`: one order of sums on both sides, so that nothing but 0 passes.
@Suite("Exact")
struct ExactTests {
  private static let windows = [
    "--mode", "windowed", "--sink", "4", "--recent", "8", "--accumulate", "4",
  ]
  /// Ways to run the mask on the dense weights.
  private static let modes: [[String]] = [
    ["--mode", "static"], windows, windows + ["--prefill", "windowed"],
    windows + ["--prefill", "windowed", "--empty-heads", "zero"],
  ]

  /// The exact comparison is 0 in every layer, and the independent one far below what passes.
  private func expectNoDifference(
    _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let directory = try TemporaryDirectory()
    let saved = directory.path("logits.safetensors")
    let run = try leank(
      expecting: 0, ["verify"] + arguments + ["--exact", "--json", "--save-logits", saved],
      sourceLocation: sourceLocation)
    let json = try run.json
    #expect(json["exact"]?["max_abs_diff"]?.double == 0, sourceLocation: sourceLocation)
    let independent = try #require(json["independent"])
    let difference = try #require(independent["max_abs_diff"]?.double)
    let limit = try #require(independent["limit"]?.double)
    #expect(try #require(independent["noise"]?.double) > 0, sourceLocation: sourceLocation)
    // The ratio to the noise is far below the 16 that pass.
    #expect(difference <= limit / 4, sourceLocation: sourceLocation)
    for key in ["first_difference", "tolerance", "non_finite"] {
      #expect(json[key]?.isNull == true, "\(key)", sourceLocation: sourceLocation)
    }
    let layers = try #require(json["layers"]?.children).map(\.value)
    #expect(!layers.isEmpty)
    for layer in layers {
      #expect(layer["exact"]?.bool == true, sourceLocation: sourceLocation)
    }
    // What is saved is the independent reference: the same numbers, other bits.
    #expect(
      Double(
        largestDifference(
          try floats("logits_masked", in: saved), try floats("logits_pruned", in: saved)))
        == difference, sourceLocation: sourceLocation)
    #expect(try floats("logits_masked", in: saved) != floats("logits_dense", in: saved))
  }

  @Test("a mask on the dense weights, in every mode", arguments: FamilyTests.models)
  func modes(name: String) throws {
    let directory = try TemporaryDirectory()
    let model = try copyModel(name, to: directory)
    let reference = Fixtures.path("Reference/\(name)/reference.safetensors")
    for mode in Self.modes {
      try expectNoDifference(
        [
          model, "--mask", Fixtures.path("Reference/\(name)/mask.npy"), "--tokens", reference,
          "--prompt-length", "24",
        ] + mode)
    }
  }

  @Test(
    "every layout that a family has", arguments: FamilyTests.models, ["rows", "cache", "zeroed"])
  func layouts(name: String, layout: String) throws {
    guard layout == "cache" || !FamilyTests.normed.contains(name) else { return }
    let directory = try TemporaryDirectory()
    let model = try copyModel(name, to: directory)
    let output = directory.path("out")
    try leank(
      expecting: 0,
      [
        "convert", "--model", model, "--mask", Fixtures.path("Reference/\(name)/mask.npy"),
        "--output", output, "--layout", layout, "--quiet",
      ])
    let reference = Fixtures.path("Reference/\(name)/reference.safetensors")
    try expectNoDifference([
      model, output, "--tokens", reference, "--prompt-length", "24", "--greedy", "4",
    ])
  }

  @Test("a difference far below the default tolerance fails")
  func smallDifference() throws {
    let directory = try TemporaryDirectory()
    let model = try copyModel("llama_gqa", to: directory)
    let arguments = [
      "verify", model, "--mask", Fixtures.path("Reference/llama_gqa/mask.npy"), "--tokens",
      Fixtures.path("Reference/llama_gqa/reference.safetensors"), "--prompt-length", "24",
    ]
    let strict = try leank(expecting: 1, arguments + ["--tolerance", "0"])
    #expect(strict.output.contains("first difference that does not pass: token"))
    #expect(strict.output.contains("attention output"))
    #expect(strict.output.hasSuffix("FAILED\n"))
  }

  @Test("options that contradict it are refused")
  func contradictions() throws {
    let model = Fixtures.path("Models/leank-tiny")
    for option in [["--tolerance", "1"], ["--structure-only"]] {
      try leank(expecting: 2, ["verify", model, model, "--exact"] + option)
    }
  }

  @Test("the report says why, where and at what cost")
  func report() throws {
    let arguments = [
      "verify", Fixtures.path("Models/leank-tiny"), "--mask",
      Fixtures.path("Masks/leank-tiny/static_mask_r0.5_align16.npy"), "--prompt-length", "8",
      "--decode", "4",
    ]
    let short = try leank(expecting: 0, arguments).output
    #expect(short.contains("\nexact       largest difference from dense + mask 0"))
    #expect(short.contains("16 x this run's noise"))
    #expect(short.contains("peak memory"))
    #expect(!short.contains("attention output"))
    let long = try leank(expecting: 0, arguments + ["--layers"]).output
    #expect(long.contains("attention output"))
    let json = try leank(expecting: 0, arguments + ["--json"]).json
    #expect(try #require(json["peak_memory_bytes"]?.integer) > 1_000_000)
    #expect(json["tolerance"]?.isNull == true)
    let same = try leank(expecting: 0, arguments + ["--json"]).json
    for key in ["max_abs_diff", "mean_abs_diff", "max_kl"] {
      #expect(same[key]?.double == json[key]?.double, "\(key)")
    }
  }
}
