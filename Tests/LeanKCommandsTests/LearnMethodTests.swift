import Foundation
import LeanKFormat
import LeanKMask
import StrictJSON
import TestSupport
import Testing

@testable import LeanKCommands

/// What `learn` can look at, and LeanK's training in its place.
@Suite("leank learn --scope, --method")
struct LearnMethodTests {
  private static let model = Fixtures.path("Models/leank-tiny")

  /// A text of the reference's own words, and options for a run over some of it.
  private func options(in folder: TemporaryDirectory, _ name: String) throws -> [String] {
    let ids = try TokenInput.read(Fixtures.path("Reference/leank-tiny.safetensors"))
    let list = ids.map(String.init).joined(separator: " ")
    let text = try leank(expecting: 0, ["tokenize", Self.model, "--decode", list]).output
    try folder.write([UInt8](String(repeating: text, count: 3).utf8), to: "text.txt")
    return [
      "learn", "--model", Self.model, "--text", folder.path("text.txt"), "--context", "64",
      "--sequences", "3", "--validation", "2", "--queries", "12", "--needles", "0", "--sink", "2",
      "--recent", "8", "--ratio", "0.5", "--output", folder.path(name),
    ]
  }

  private func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(filePath: path)))
  }

  @Test("both scopes make masks, and the better one is kept with its scores")
  func scopes() throws {
    let folder = try TemporaryDirectory()
    var divergences: [String: [String: Double]] = [:]
    for scope in ["layer", "model", "both"] {
      let run = try leank(
        expecting: 0, try options(in: folder, scope + ".leank") + ["--scope", scope, "--json"])
      let report = try #require(Array(try run.json.children).first?.value)
      var found: [String: Double] = [:]
      for candidate in try #require(report["candidates"]).children.map(\.value) {
        found[try #require(candidate["budget"]?.string)] = try #require(
          candidate["kl"]?.double)
      }
      let kept = try #require(report["kl"]?.double)
      #expect(kept == found.values.min())
      let file = try LeankFile(try bytes(folder.path(scope + ".leank")))
      let document = try #require(file.instances.first)
      #expect(document.scores?.kind == "leank.curvature")
      #expect(document.provenance[Provenance.recipe]?.contains("--scope \(scope) ") == true)
      divergences[scope] = found
    }
    let names = ["sum", "log", "measured"]
    #expect(divergences["layer"]?.keys.sorted() == names.sorted())
    #expect(divergences["model"]?.keys.sorted() == names.map { "model " + $0 }.sorted())
    // One pass for both finds what each finds alone.
    let alone = divergences["layer", default: [:]].merging(divergences["model", default: [:]]) {
      one, _ in one
    }
    #expect(divergences["both"] == alone)
  }

  @Test("two stages leave factors and a mask of them, and say how")
  func twoStages() throws {
    let folder = try TemporaryDirectory()
    let run = try leank(
      expecting: 0,
      try options(in: folder, "two.leank") + [
        "--method", "two-stage", "--steps", "3,2", "--batch", "2", "--ratio", "0.75", "--json",
      ])
    #expect(Array(try run.json.children).count == 2)
    let file = try LeankFile(try bytes(folder.path("two.leank")))
    #expect(file.instances.count == 2)
    for (document, ratio) in zip(file.instances, [0.5, 0.75]) {
      #expect(document.scores?.kind == ImportanceScores.alphaKind)
      #expect(MaskStatistics(of: document.mask).prunedRatio == ratio)
      #expect(
        document.provenance[Provenance.recipe]?.contains(
          "--method two-stage --steps 3,2 --align 16 --rule budget")
          == true)
    }
    // What it kept beside the output is gone.
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
        "text.txt", "two.leank",
      ])
  }

  @Test(
    "options that belong to the other method are usage errors",
    arguments: [
      ["--method", "two-stage", "--scope", "model"], ["--rule", "leank"],
      ["--method", "two-stage", "--shard", "1/2"], ["--method", "two-stage", "--budget", "log"],
      ["--method", "two-stage", "--steps", "0,4"], ["--method", "two-stage", "--steps", "4"],
      ["--method", "two-stage", "--rule", "given"],
    ])
  func refused(arguments: [String]) throws {
    let folder = try TemporaryDirectory()
    try leank(expecting: 2, try options(in: folder, "mask.leank") + arguments)
  }
}
