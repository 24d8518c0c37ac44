import Foundation
import StrictJSON
import TestSupport
import Testing

@testable import LeanKCommands

/// Text in, text out, on the bundled trained model: it answers its two questions in words.
@Suite("leank generate")
struct GenerateTests {
  static let model = Fixtures.path("Models/leank-tiny")
  static let mask = Fixtures.path("Masks/leank-tiny/static_pairs_mask_r0.5_align16.npy")
  static let reference = Fixtures.path("Reference/leank-tiny.safetensors")
  /// Where the reference's text asks, and the tokens of the right answers after it.
  static let questions: [(prompt: Int, answer: [Int])] = [
    (213, [221, 20, 24, 18, 17, 14]), (252, [221, 25, 16, 19, 23, 14]),
  ]

  /// The reference's text up to a token.
  private func text(_ count: Int) throws -> String {
    let ids = try TokenInput.read(Self.reference).prefix(count)
    let list = ids.map(String.init).joined(separator: " ")
    return try String(
      leank(expecting: 0, ["tokenize", Self.model, "--decode", list]).output.dropLast())
  }

  private func answers(_ arguments: [String]) throws -> [[Int]] {
    try Self.questions.map { question in
      let run = try leank(
        expecting: 0,
        ["generate"] + arguments + [
          "--prompt", try text(question.prompt), "--max-tokens", "6", "--ignore-eos", "--json",
        ])
      let json = try run.json
      let tokens = try #require(json["tokens"]).children.compactMap(\.value.integer)
      let list = tokens.map(String.init).joined(separator: " ")
      let decoded = try leank(expecting: 0, ["tokenize", Self.model, "--decode", list]).output
      #expect(json["text"]?.string == String(decoded.dropLast()))
      #expect(try #require(json["prompt_tokens_per_second"]?.double) > 0)
      #expect(try #require(json["decode_tokens_per_second"]?.double) > 0)
      return tokens
    }
  }

  @Test("the dense model, a mask on it and every converted layout answer")
  func everyWay() throws {
    let expected = Self.questions.map(\.answer)
    #expect(try answers([Self.model]) == expected)
    #expect(try answers([Self.model, "--mask", Self.mask, "--mode", "static"]) == expected)
    for element in ["bf16", "f16"] {
      #expect(try answers([Self.model, "--cache", element]) == expected)
    }
    let directory = try TemporaryDirectory()
    for layout in ["rows", "cache", "zeroed"] {
      let output = directory.path(layout)
      try leank(
        expecting: 0,
        [
          "convert", "--model", Self.model, "--mask", Self.mask, "--output", output, "--layout",
          layout, "--quiet",
        ])
      #expect(try answers([output]) == expected, "\(layout)")
    }
    let windowed = Fixtures.path("Masks/leank-tiny/windowed_mask_r0.7_align16.npy")
    #expect(
      try answers([
        Self.model, "--mask", windowed, "--mode", "windowed", "--sink", "4", "--recent", "16",
        "--accumulate", "8",
      ]).count == 2)
  }

  /// Bytes by hand: what is cached after the prompt and 5 of 6 decoded tokens.
  /// The prompts of the main job are the reference's text.
  @Test(
    "the bundled prompts are the reference's text",
    arguments: [(213, "amber-bridge"), (252, "silver-falcon")])
  func bundledPrompts(tokens: Int, name: String) throws {
    let prompt = String(decoding: try Fixtures.bytes("Prompts/\(name).txt"), as: UTF8.self)
    #expect(prompt == (try text(tokens)))
    let run = try leank(
      expecting: 0,
      [
        "generate", Self.model, "--prompt-file", Fixtures.path("Prompts/\(name).txt"),
        "--max-tokens", "6", "--ignore-eos",
      ])
    #expect(run.output == (tokens == 213 ? " 4821.\n" : " 9037.\n"))
  }

  @Test("the cache is counted") func cacheBytes() throws {
    func bytes(_ arguments: [String]) throws -> (Int?, Int?) {
      let json = try leank(
        expecting: 0,
        ["generate", Self.model, "--prompt", "Question:", "--max-tokens", "6", "--ignore-eos"]
          + arguments + ["--json"]
      ).json
      return (json["k_cache_bytes"]?.integer, json["v_cache_bytes"]?.integer)
    }
    let ids = try leank(expecting: 0, ["tokenize", Self.model, "Question:"]).output
      .split(separator: " ").count
    let tokens = ids + 5
    // 4 layers of 2 KV heads of 64 channels, of which the mask keeps half.
    #expect(try bytes([]) == (tokens * 512 * 4, tokens * 512 * 4))
    #expect(try bytes(["--cache", "f16"]) == (tokens * 512 * 2, tokens * 512 * 2))
    #expect(
      try bytes(["--mask", Self.mask, "--mode", "static"])
        == (tokens * 256 * 4, tokens * 512 * 4))
  }

  @Test("text streams, and ends at the model's end token") func streams() throws {
    let short = try leank(
      expecting: 0,
      ["generate", Self.model, "--prompt", "Question:", "--max-tokens", "3", "--ignore-eos"])
    let json = try leank(
      expecting: 0,
      [
        "generate", Self.model, "--prompt", "Question:", "--max-tokens", "3", "--ignore-eos",
        "--json",
      ]
    ).json
    #expect(short.output == (json["text"]?.string ?? "") + "\n")
    #expect(
      short.diagnostics.contains("tokens/s; K cache") || short.diagnostics.contains("decoded"))
    // A model whose first answer is an end token says nothing.
    let directory = try TemporaryDirectory()
    for name in try FileManager.default.contentsOfDirectory(atPath: Self.model) {
      try directory.write(try Fixtures.bytes("Models/leank-tiny/\(name)"), to: name)
    }
    let first = try #require(json["tokens"]?.children.map(\.value).first?.integer)
    try directory.write(
      Array("{\"eos_token_id\": [\(first)]}".utf8), to: "generation_config.json")
    let ended = try leank(
      expecting: 0,
      ["generate", directory.path, "--prompt", "Question:", "--max-tokens", "3", "--json"]
    ).json
    #expect(ended["text"]?.string == "")
    #expect(ended["tokens"]?.children.map(\.value).count == 1)
    #expect(ended["decode_tokens_per_second"]?.isNull == true)
  }

  @Test("what contradicts itself is refused") func refusals() throws {
    let prompt = ["--prompt", "a"]
    for (code, arguments) in [
      (2, []), (2, prompt + ["--prompt-file", "x"]), (2, prompt + ["--max-tokens", "0"]),
      (2, prompt + ["--temperature", "-1"]), (2, prompt + ["--top-p", "0.5"]),
      (2, prompt + ["--mode", "windowed"]), (2, prompt + ["--instance", "1"]),
      (2, ["--prompt", ""]), (3, prompt + ["--chat"]),
      (2, prompt + ["--max-tokens", "9223372036854775807"]),
    ] as [(CInt, [String])] {
      try leank(expecting: code, ["generate", Self.model] + arguments)
    }
  }

  @Test("verify takes text") func verifyTakesText() throws {
    let directory = try TemporaryDirectory()
    let words = try text(240)
    try directory.write(Array(words.utf8), to: "text.txt")
    let common = ["verify", Self.model, "--mask", Self.mask, "--prompt-length", "200", "--json"]
    let expected = try leank(expecting: 0, common + ["--tokens", Self.reference, "--decode", "40"])
    for given in [["--prompt", words], ["--text", directory.path("text.txt")]] {
      let found = try leank(expecting: 0, common + given)
      #expect(try found.json["tokens"]?.integer == 240)
      #expect(
        try found.json["drift"]?["loss_dense"]?.double
          == expected.json["drift"]?["loss_dense"]?.double)
    }
    try leank(expecting: 2, common + ["--prompt", "a", "--text", "b"])
    try leank(expecting: 2, common + ["--prompt", "a", "--seed", "1"])
  }
}
