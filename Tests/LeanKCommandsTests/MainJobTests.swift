import LeanKCommands
import StrictJSON
import TestSupport
import Testing

/// The README's main job on the trained model, and the trained model's references.
@Suite("Main job")
struct MainJobTests {
  private let model = Fixtures.path("Models/leank-tiny")
  private let reference = Fixtures.path("Reference/leank-tiny.safetensors")

  private func mask(_ name: String) -> String {
    Fixtures.path("Masks/leank-tiny/\(name)_align16.npy")
  }

  /// float64 differs from transformers' float32 logits, which reach 26, by up to 6.7e-5.
  private let tolerance: Float = 2e-4

  @Test(
    "logits are those of transformers, dense and masked",
    arguments: ["static_mask_r0.5", "static_pairs_mask_r0.5", "windowed_mask_r0.7"])
  func staticLogits(name: String) throws {
    let directory = try TemporaryDirectory()
    let saved = directory.path("logits.safetensors")
    try leank(
      expecting: 0,
      [
        "verify", model, "--mask", mask(name), "--tokens", reference, "--prompt-length", "210",
        "--mode", "static", "--save-logits", saved,
      ])
    for (array, expected) in [
      ("logits_dense", "logits_dense"), ("logits_masked", "logits_masked." + name),
      ("logits_pruned", "logits_masked." + name),
    ] {
      let difference = largestDifference(
        try floats(array, in: saved), try floats(expected, in: reference))
      #expect(difference <= tolerance, "\(array)")
    }
  }

  @Test("windowed logits are those of transformers")
  func windowedLogits() throws {
    let directory = try TemporaryDirectory()
    let saved = directory.path("logits.safetensors")
    let run = try leank(
      expecting: 0,
      [
        "verify", model, "--mask", mask("windowed_mask_r0.7"), "--tokens", reference,
        "--prompt-length", "210", "--mode", "windowed", "--sink", "4", "--recent", "16",
        "--accumulate", "8", "--save-logits", saved, "--json",
      ])
    let expected = try floats("logits_deploy.windowed_mask_r0.7", in: reference)
    for array in ["logits_masked", "logits_pruned"] {
      #expect(largestDifference(try floats(array, in: saved), expected) <= tolerance, "\(array)")
    }
    let keys = try #require(try run.json["k_cache_bytes"])
    #expect(try #require(keys["pruned"]?.integer) < #require(keys["dense"]?.integer))
    #expect(try #require(run.json["middle_keys"]?.integer) > 0)
  }

  @Test("converted to rows, half of K gone, the model still answers both questions")
  func answers() throws {
    let directory = try TemporaryDirectory()
    let output = directory.path("rows")
    let convert = try leank(
      expecting: 0,
      [
        "convert", "--model", model, "--mask", mask("static_pairs_mask_r0.5"), "--output", output,
        "--verify",
      ])
    #expect(convert.diagnostics.isEmpty)
    // " 4821." and " 9037."
    let answers = [(213, [221, 20, 24, 18, 17, 14]), (252, [221, 25, 16, 19, 23, 14])]
    for (prompt, answer) in answers {
      let run = try leank(
        expecting: 0,
        [
          "verify", model, output, "--tokens", reference, "--prompt-length", String(prompt),
          "--decode", "0", "--greedy", "6", "--json",
        ])
      let greedy = try #require(try run.json["greedy"])
      for side in ["dense", "masked", "pruned"] {
        #expect(greedy[side]?.children.map { $0.value.integer } == answer, "\(side)")
      }
    }
  }
}
