import Foundation
import LeanKFormat
import LeanKMask
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// `leank learn` on the trained model: what it writes, and that parts and stops change nothing.
@Suite("Learn")
struct LearnTests {
  private let model = Fixtures.path("Models/leank-tiny")

  /// Sequences of 192 tokens, whose ends are questions: see make_evaluation.py.
  private let sequences = Fixtures.path("Evaluation/leank-tiny.safetensors")

  private func arguments(_ output: String, _ more: [String] = []) -> [String] {
    [
      "learn", "--model", model, "--tokens", sequences, "--validation", "4", "--queries", "32",
      "--ratio", "0.5", "--ratio", "0.75", "--sink", "4", "--recent", "32", "--batch", "3",
      "--output", output,
    ] + more
  }

  @Test("one run makes a mask a ratio, met exactly, with scores, window and recipe")
  func writes() throws {
    let folder = try TemporaryDirectory()
    let directory = folder.path
    let output = directory + "/mask.leank"
    let run = try leank(expecting: 0, arguments(output, ["--json"]))
    let file = try LeankFile(Array(Data(contentsOf: URL(filePath: output))))
    #expect(file.instances.count == 2)
    for (document, ratio) in zip(file.instances, [0.5, 0.75]) {
      let kept = Double(document.mask.keptCount) / Double(document.mask.channels)
      #expect(kept == 1 - ratio)
      #expect(document.alignment?.unit == 16)
      #expect(document.alignment?.isMet(by: document.mask) == true)
      #expect(document.alignment?.targetRatio == ratio)
      #expect(document.scores?.kind == "leank.curvature")
      #expect(document.deployment?.window?.recent == 32)
      let recipe = try #require(document.provenance[Provenance.recipe])
      #expect(recipe.contains("--ratio \(ratio)") && recipe.contains("data sha256"))
    }
    let reports = Array(try run.json.values)
    #expect(reports.map { $0["ratio"]?.double } == [0.5, 0.75])
    for report in reports {
      let candidates = try #require(report["candidates"]).values.map { $0["kl"]?.double ?? .nan }
      #expect(candidates.count == 6)
      #expect(report["kl"]?.double == candidates.min())
    }
    // Nothing is left beside it.
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["mask.leank"])
  }

  @Test("parts on many machines, and a run that goes on after a stop, give the bytes of one run")
  func parts() throws {
    let folder = try TemporaryDirectory()
    let directory = folder.path
    let whole = directory + "/whole.leank"
    try leank(expecting: 0, arguments(whole, ["--quiet"]))
    let bytes = try Data(contentsOf: URL(filePath: whole))

    let merged = directory + "/merged.leank"
    let early = CommandRun(arguments(merged, ["--merge"]))
    #expect(early.code == 2 && early.diagnostics.contains("--shard K/N"))
    for part in ["2/3", "3/3"] { try leank(expecting: 0, arguments(merged, ["--shard", part])) }
    let missing = CommandRun(arguments(merged, ["--merge"]))
    #expect(missing.code == 2 && missing.diagnostics.contains("the first is number 0"))
    try leank(expecting: 0, arguments(merged, ["--shard", "1/3"]))
    try leank(expecting: 0, arguments(merged, ["--merge", "--quiet"]))
    #expect(try Data(contentsOf: URL(filePath: merged)) == bytes)

    let resumed = directory + "/resumed.leank"
    try leank(expecting: 0, arguments(resumed, ["--shard", "2/2"]))
    try leank(expecting: 0, arguments(resumed, ["--quiet", "--threads", "1", "--batch", "5"]))
    #expect(try Data(contentsOf: URL(filePath: resumed)) == bytes)
  }

  @Test("scores of another run are refused, and clean removes them")
  func otherRun() throws {
    let folder = try TemporaryDirectory()
    let directory = folder.path
    let output = directory + "/mask.leank"
    try leank(expecting: 0, arguments(output, ["--shard", "1/2"]))
    let run = CommandRun(arguments(output, ["--draws", "2"]))
    #expect(run.code == 8 && run.diagnostics.contains("leank clean --parts"))
    #expect(!FileManager.default.fileExists(atPath: output))
    try leank(expecting: 0, ["clean", "--parts", directory])
    try leank(expecting: 0, arguments(output, ["--draws", "2", "--budget", "log", "--quiet"]))
  }

  @Test("a budget, pairs and static mode do as they say")
  func options() throws {
    let folder = try TemporaryDirectory()
    let directory = folder.path
    let output = directory + "/mask.leank"
    try leank(
      expecting: 0,
      [
        "learn", "--model", model, "--tokens", sequences, "--validation", "4", "--mode", "static",
        "--queries", "32", "--ratio", "0.25", "--pairs", "--budget", "sum", "--output", output,
      ])
    let document = try LeankFile(Array(Data(contentsOf: URL(filePath: output)))).document
    #expect(try document.mask == document.mask.closed)
    #expect(document.deployment == .static)
    #expect(document.provenance[Provenance.recipe]?.contains("--pairs") == true)
  }

  @Test("a text is cut into parts to score and to judge by, with questions in it")
  func text() throws {
    let folder = try TemporaryDirectory()
    let directory = folder.path
    let text = directory + "/text.txt"
    let prompt = try String(decoding: Fixtures.bytes("Prompts/amber-bridge.txt"), as: UTF8.self)
    try (0..<20).map { "\($0). " + prompt }.joined().write(
      toFile: text, atomically: true, encoding: .utf8)
    let output = directory + "/mask.leank"
    let run = try leank(
      expecting: 0,
      [
        "learn", "--model", model, "--text", text, "--context", "220", "--sequences", "4",
        "--validation", "2", "--queries", "24", "--sink", "4", "--recent", "32", "--ratio", "0.5",
        "--output", output, "--report", directory + "/page.html",
      ])
    #expect(run.output.contains("answers") && run.output.contains("of 1"))
    let page = try String(contentsOfFile: directory + "/page.html", encoding: .utf8)
    #expect(page.contains("KL against the pruned ratio"))
  }

  @Test("what cannot be is a usage error before anything is read")
  func refusals() throws {
    for more in [
      ["--ratio", "1.5"], ["--ratio", "0.5"], ["--pairs", "--align", "3"],
      ["--merge", "--shard", "1/2"],
      ["--text", "x"], ["--needles", "2"], ["--shard", "1/2", "--report", "x.html"],
    ] {
      let run = CommandRun(arguments("/nowhere/mask.leank", more))
      #expect(run.code == 2, "\(more): \(run.diagnostics)")
    }
    let near = CommandRun(
      arguments("mask-that-is-not-written.leank", ["--recent", "2000"]).filter { $0 != "32" })
    #expect(near.code == 2)
  }
}
