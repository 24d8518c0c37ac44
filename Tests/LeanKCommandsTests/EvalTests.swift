import Foundation
import StrictJSON
import TestSupport
import Testing

/// `leank eval` against what transformers and torch make of the same sequences
/// (Fixtures/Generators/make_evaluation.py).
@Suite("Eval")
struct EvalTests {
  private let model = Fixtures.path("Models/leank-tiny")
  private let sequences = Fixtures.path("Evaluation/leank-tiny.safetensors")
  /// float32 against float64 logits, and the order of sums; largest difference seen 2e-6.
  private let tolerance = 2e-5

  private static func mask(_ name: String) -> String {
    Fixtures.path("Masks/leank-tiny/\(name)_align16.npy")
  }

  private func expected() throws -> JSONValue {
    try JSONDocument(try Fixtures.bytes("Evaluation/expected.json")).root
  }

  private static func modeOptions(_ window: JSONValue?) -> [String] {
    guard let window, window.kind == .array else { return ["--mode", "static"] }
    let numbers = window.values.compactMap(\.integer).map(String.init)
    return [
      "--mode", "windowed", "--sink", numbers[0], "--recent", numbers[1], "--accumulate",
      numbers[2],
    ]
  }

  private func expect(
    _ found: JSONValue?, near expected: Double?, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let (found, expected) = (
      try #require(found?.double, sourceLocation: sourceLocation),
      try #require(expected, sourceLocation: sourceLocation)
    )
    #expect(abs(found - expected) <= tolerance, sourceLocation: sourceLocation)
  }

  private func share(_ rights: JSONValue?) throws -> Double {
    let rights = try #require(rights).values.map { $0.bool == true }
    return Double(rights.count(where: \.self)) / Double(rights.count)
  }

  @Test("loss, KL, agreement and answers are those of transformers, in every mode")
  func reference() throws {
    let expected = try expected()
    let uses = Array(try #require(expected["uses"]).values)
    #expect(uses.count == 9)
    // One run for all masks of a mode.
    let modes = Dictionary(grouping: uses) { Self.modeOptions($0["window"]) }
    #expect(modes.count == 5)
    for (options, uses) in modes {
      let names = try uses.map { Self.mask(try #require($0["mask"]?.string)) }
      let run = try leank(
        expecting: 0,
        [
          "eval", model, "--tokens", sequences, "--queries", "32", "--batch", "5", "--json",
        ] + names.flatMap { ["--mask", $0] } + options)
      #expect(run.diagnostics.isEmpty)
      let list = Array(try run.json.values)
      try #require(list.count == uses.count)
      for (found, (use, name)) in zip(list, zip(uses, names)) {
        try expect(found["loss_dense"], near: expected["dense"]?["loss"]?.double)
        try expect(found["loss_masked"], near: use["loss"]?.double)
        try expect(found["kl"], near: use["kl"]?.double)
        try expect(found["top1_agreement"], near: use["top1_agreement"]?.double)
        try expect(found["pruned_ratio"], near: use["pruned_ratio"]?.double)
        #expect(found["needle_dense"]?.double == (try share(expected["dense"]?["right"])))
        #expect(found["needle_masked"]?.double == (try share(use["right"])))
        #expect(found["context"]?.integer == 192)
        #expect(found["instance"]?.integer == 0)
        #expect(found["mask"]?.string == name)
      }
    }
  }

  @Test("the list has an object a mask with exactly the documented keys, in the order of the masks")
  func keys() throws {
    let directory = try TemporaryDirectory()
    let ratios = directory.path("ratios.leank")
    try leank(
      expecting: 0,
      [
        "mask", Fixtures.path("Masks/leank-tiny/windowed_alpha_r0.7.tsv"), "--model", model,
        "--ratio", "0.5", "--ratio", "0.75", "--align", "16", "--rule", "budget", "--mode",
        "windowed", "--sink", "4", "--recent", "16", "--accumulate", "1", "--output", ratios,
      ])
    let arguments = [
      "eval", model, "--mask", ratios, "--mask", Self.mask("static_pairs_mask_r0.5"), "--tokens",
      sequences, "--queries", "32",
    ]
    let list = Array(
      try leank(expecting: 0, arguments + ["--json", "--cache", "f32"]).json.values)
    #expect(list.map { $0["instance"]?.integer } == [0, 1, 0])
    #expect(list.map { $0["pruned_ratio"]?.double } == [0.5, 0.75, 0.5])
    for object in list {
      #expect(
        Set(object.children.map { $0.key }) == [
          "context", "instance", "k_cache_bytes", "kl", "loss_dense", "loss_masked", "mask",
          "needle_dense", "needle_masked", "pruned_ratio", "top1_agreement", "v_cache_bytes",
        ])
    }
    // 192 tokens of 4 layers of 2 heads of 64 channels, 4 bytes each; windowed: 4 + 16 whole.
    #expect(list.map { $0["k_cache_bytes"]?["dense"]?.integer } == [393_216, 393_216, 393_216])
    #expect(
      list.map { $0["k_cache_bytes"]?["pruned"]?.integer }
        == [20 * 2048 + 172 * 1024, 20 * 2048 + 172 * 512, 196_608])
    let one = Array(
      try leank(
        expecting: 0,
        ["eval", model, "--mask", ratios, "--instance", "1", "--tokens", sequences]
          + ["--queries", "32", "--json"]
      ).json.values)
    #expect(one.map { $0["kl"]?.double } == [list[1]["kl"]?.double])
    #expect(try leank(expecting: 0, arguments).output.contains("ratios.leank 1"))
  }

  @Test("text gives the same numbers for the same seed, whatever the batch and threads")
  func text() throws {
    let directory = try TemporaryDirectory()
    let words = String(decoding: try Fixtures.bytes("Prompts/amber-bridge.txt"), as: UTF8.self)
    let text = try directory.write(Array(String(repeating: words, count: 4).utf8), to: "text.txt")
    func run(_ options: String...) throws -> String {
      try leank(
        expecting: 0,
        [
          "eval", model, "--text", text, "--context", "256", "--sequences", "3", "--queries", "20",
          "--needles", "3", "--mask", Self.mask("windowed_mask_r0.7"), "--mode", "windowed",
          "--sink", "4", "--recent", "16", "--accumulate", "1", "--json",
        ] + options
      ).output
    }
    let first = try run()
    #expect(try run("--batch", "1", "--threads", "1", "--seed", "0") == first)
    #expect(try run("--seed", "1") != first)
    let object = try #require(try JSONDocument(Array(first.utf8)).root.values.first { _ in true })
    let answers = try #require(object["needle_dense"]?.double)
    #expect(abs((answers * 3).rounded() - answers * 3) < 1e-9)
  }

  @Test("a checkpoint of layout cache judges its own mask, as the dense one does")
  func converted() throws {
    let directory = try TemporaryDirectory()
    let options = ["--mode", "windowed", "--sink", "4", "--recent", "16", "--accumulate", "1"]
    let output = directory.path("cache")
    let mask = Self.mask("windowed_mask_r0.5")
    try leank(
      expecting: 0,
      ["convert", "--model", model, "--mask", mask, "--output", output, "--layout", "cache"]
        + options)
    let tokens = ["--tokens", sequences, "--queries", "32", "--json"]
    let own = Array(try leank(expecting: 0, ["eval", output] + tokens).json.values)
    let dense = Array(
      try leank(expecting: 0, ["eval", model, "--mask", mask] + tokens + options).json.values)
    try #require(own.count == 1 && dense.count == 1)
    for key in ["loss_dense", "loss_masked", "kl", "needle_masked", "pruned_ratio"] {
      #expect(own[0][key]?.double == dense[0][key]?.double, "\(key)")
    }
    #expect(own[0]["mask"]?.string == output + "/mask.leank")

    let rows = directory.path("rows")
    try leank(
      expecting: 0,
      [
        "convert", "--model", model, "--mask", Self.mask("static_pairs_mask_r0.5"), "--output",
        rows,
      ])
    let refused = try leank(expecting: 4, ["eval", rows] + tokens)
    #expect(refused.diagnostics.contains("--mask \(rows)/mask.leank"))
  }

  @Test("the dense model alone, and a page")
  func denseAndPage() throws {
    let directory = try TemporaryDirectory()
    let tokens = ["--tokens", sequences, "--queries", "32"]
    let object = try #require(
      try leank(expecting: 0, ["eval", model] + tokens + ["--json"]).json.values.first { _ in true }
    )
    try expect(object["loss_dense"], near: try expected()["dense"]?["loss"]?.double)
    for key in ["mask", "instance", "kl", "loss_masked", "pruned_ratio"] {
      #expect(object[key]?.kind == .null, "\(key)")
    }
    let page = directory.path("page.html")
    let run = try leank(
      expecting: 0,
      [
        "eval", model, "--mask", Self.mask("static_pairs_mask_r0.5"), "--mask",
        Self.mask("windowed_mask_r0.5"), "--report", page,
      ] + tokens)
    let html = try String(contentsOfFile: page, encoding: .utf8)
    #expect(html.ranges(of: "<circle").count == 4)
    #expect(html.contains("id=\"kl\"") && html.contains("id=\"answers\""))
    for line in run.output.split(separator: "\n") where line.hasPrefix("static_pairs") {
      let loss = try #require(line.split(separator: " ").dropFirst(3).first)
      #expect(html.contains("<td>\(loss)</td>"), "\(loss)")
    }
  }

  private static let refused: [(code: CInt, options: [String])] = [
    (2, ["--tokens", "SEQUENCES", "--text", "SEQUENCES"]),
    (2, ["--tokens", "SEQUENCES", "--context", "100"]),
    (2, ["--tokens", "SEQUENCES", "--sequences", "1"]),
    (2, ["--tokens", "SEQUENCES", "--queries", "192"]),
    (2, ["--tokens", "SEQUENCES", "--queries", "4"]),
    (2, ["--tokens", "SEQUENCES", "--mode", "static"]),
    (2, ["--tokens", "SEQUENCES", "--mask", "MASK", "--mode", "windowed"]),
    (2, ["--tokens", "SEQUENCES", "--mask", "MASK", "--instance", "1"]),
    (2, ["--tokens", "PROMPT", "--context", "2048"]),
    (2, ["--tokens", "PROMPT", "--context", "1000"]),
    (2, ["--tokens", "PROMPT", "--context", "64", "--sequences", "0", "--needles", "0"]),
    (3, ["--text", "SEQUENCES"]),
  ]

  @Test("what cannot be judged is refused before a weight is read", arguments: refused)
  func refusals(code: CInt, options: [String]) throws {
    let run = try leank(
      expecting: code,
      ["eval", model]
        + options.map {
          switch $0 {
          case "SEQUENCES": sequences
          case "PROMPT": Fixtures.path("Reference/leank-tiny.safetensors")
          case "MASK": Self.mask("static_pairs_mask_r0.5")
          default: $0
          }
        })
    #expect(run.output.isEmpty)
  }
}
