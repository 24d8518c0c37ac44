import Foundation
import LeanKCommands
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// What `convert` says and writes beside the weights, and what `clean` takes away.
@Suite struct ConvertOutputTests {
  private let folder: TemporaryDirectory
  private let dense: String
  private let mask = Fixtures.path("Reference/llama_gqa/mask.npy")
  private let files = FileManager.default

  init() throws {
    folder = try TemporaryDirectory()
    dense = try copyModel("llama_gqa", to: folder)
  }

  private func convert(_ output: String, _ more: String...) throws -> CommandRun {
    try leank(
      expecting: 0,
      ["convert", "--model", dense, "--mask", mask, "--output", folder.path(output)] + more)
  }

  @Test(arguments: ["rows", "cache", "zeroed"])
  func theCardSaysHowItWasMade(_ layout: String) throws {
    let run = try convert("one", "--layout", layout, "--json")
    _ = try convert("two", "--layout", layout)
    let card = try String(contentsOfFile: folder.path("one/LEANK.md"), encoding: .utf8)
    #expect(try String(contentsOfFile: folder.path("two/LEANK.md"), encoding: .utf8) == card)
    #expect(card.contains("leank \(leankVersion)\n"))
    #expect(card.contains("| layout | \(layout): "))
    #expect(card.contains("| mode | static: "))
    #expect(card.contains(try #require(try run.json["mask_content_id"]?.string)))
    #expect(card.contains("leank verify DENSE ."))
    #expect(!card.contains(folder.path))
    let config = try JSONSerialization.jsonObject(
      with: Data(contentsOf: URL(filePath: folder.path("one/config.json"))))
    let leank = try #require((config as? [String: Any])?["leank"] as? [String: Any])
    #expect(card.contains(try #require(leank["source_digest"] as? String)))
  }

  @Test(arguments: ["LEANK.md", "leank.MD"])
  func aCardOfTheSourceIsReplaced(_ name: String) throws {
    _ = try convert("plain")
    try folder.write(Array("old".utf8), to: "dense/" + name)
    let run = try convert("out", "--json")
    #expect(try run.json["left_out"]?.children.map { $0.value.string } == [name])
    #expect(
      files.contentsEqual(
        atPath: folder.path("plain/LEANK.md"), andPath: folder.path("out/LEANK.md")))
    #expect(
      try files.contentsOfDirectory(atPath: folder.path("plain")).sorted()
        == files.contentsOfDirectory(atPath: folder.path("out")).sorted())
  }

  @Test func theLoaderIsThereUnlessItIsLeftOut() throws {
    _ = try convert("with", "--layout", "cache")
    _ = try convert("without", "--layout", "cache", "--no-loader")
    let opening = "AutoModelForCausalLM.from_pretrained"
    for (output, isThere) in [("with", true), ("without", false)] {
      #expect(files.fileExists(atPath: folder.path(output + "/modeling_leank.py")) == isThere)
      for name in ["LEANK.md": opening, "config.json": "\"auto_map\""] {
        let text = try String(contentsOfFile: folder.path("\(output)/\(name.key)"), encoding: .utf8)
        #expect(text.contains(name.value) == isThere)
      }
      let run = try leank(
        expecting: 0, ["verify", dense, folder.path(output), "--structure-only", "--json"])
      #expect(try run.json["structure"]?["loader"]?.string == (isThere ? leankVersion : nil))
    }
  }

  @Test func codeOfTheSourceIsNotReplaced() throws {
    let path = dense + "/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try files.removeItem(atPath: path)
    try folder.write(
      Array(
        text.replacing(
          "{", with: "{\n  \"auto_map\": {\"AutoModel\": \"a.B\"},", maxReplacements: 1
        )
        .utf8), to: "dense/config.json")
    for more in [["--dry-run"], ["--shard", "1/1"], []] {
      let run = CommandRun(
        ["convert", "--model", dense, "--mask", mask, "--output", folder.path("out")] + more)
      #expect(run.code == 4)
      #expect(run.diagnostics.contains("auto_map"))
      #expect(run.diagnostics.contains("--no-loader"))
    }
    #expect(try files.contentsOfDirectory(atPath: folder.path) == ["dense"])
    _ = try convert("out", "--no-loader")
  }

  @Test func aDryRunTellsSpaceAndSavings() throws {
    let plan = try convert("out", "--dry-run", "--json", "--context", "1000", "--context", "100")
    #expect(try files.contentsOfDirectory(atPath: folder.path) == ["dense"])
    _ = try convert("out")
    let written = try files.contentsOfDirectory(atPath: folder.path("out")).reduce(0) {
      let attributes = try files.attributesOfItem(atPath: folder.path("out/" + $1))
      return try $0 + #require(attributes[.size] as? Int)
    }
    #expect(try plan.json["bytes_needed"]?.integer == written)
    #expect(try #require(plan.json["bytes_free"]?.integer) > 0)
    let perToken = try #require(try plan.json["cache_bytes_per_token"])
    let contexts = try #require(try plan.json["contexts"]).children.map(\.value)
    #expect(contexts.map { $0["tokens"]?.integer } == [100, 1000])
    for context in contexts {
      let tokens = try #require(context["tokens"]?.integer)
      for (side, key) in [("dense", "keys_dense"), ("pruned", "keys_pruned")] {
        let bytes = try #require(perToken[key]?.integer)
        #expect(context[side]?["keys"]?.integer == bytes * tokens)
        #expect(context[side]?["values"]?.integer == (perToken["values"]?.integer ?? 0) * tokens)
      }
    }
    let text = try convert("other", "--dry-run", "--context", "1000").output
    #expect(text.contains("1,000 tokens: K and V "))
    #expect(text.contains("needed, "))
  }

  @Test func aWarningIsGivenOnce() throws {
    let index = dense + "/model.safetensors.index.json"
    #expect(!files.fileExists(atPath: index))
    try files.moveItem(
      atPath: dense + "/model.safetensors", toPath: dense + "/model-1.safetensors")
    let model = try SafetensorsFile(path: dense + "/model-1.safetensors")
    let map = model.header.tensors.map { "\"\($0.name)\": \"model-1.safetensors\"" }
    try folder.write(
      Array(
        "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\(map.joined(separator: ","))}}".utf8),
      to: "dense/model.safetensors.index.json")
    let run = try convert("out", "--json")
    #expect(try run.json["warnings"]?.count == 1)
    #expect(run.diagnostics.components(separatedBy: "total_size").count == 2)
  }

  @Test func cleanRemovesWhatWasLeftBehind() throws {
    try folder.write([1, 2, 3], to: ".out.leank-partial-abc/model.safetensors")
    try folder.write([1], to: ".mask.leank.leank-partial-1")
    try folder.write([1], to: "keep.leank-partial-1")
    _ = try leank(
      expecting: 0,
      ["convert", "--model", dense, "--mask", mask, "--output", folder.path("x"), "--shard", "1/1"])
    let all = [".mask.leank.leank-partial-1", ".out.leank-partial-abc", ".x.leank-parts"]
    func entries() throws -> [String] {
      try files.contentsOfDirectory(atPath: folder.path).sorted()
    }
    func outcomes(_ options: String...) throws -> [String?] {
      let run = try leank(expecting: 0, ["clean", folder.path, "--json"] + options)
      let leftovers = try #require(try run.json["leftovers"]).children.map(\.value)
      return leftovers.map { $0["outcome"]?.string }
    }
    #expect(try outcomes("--dry-run", "--parts") == ["kept", "kept", "kept"])
    #expect(try entries() == all + ["dense", "keep.leank-partial-1"])
    let text = try leank(expecting: 0, ["clean", folder.path, "--dry-run"]).output
    for name in all { #expect(text.contains(name)) }
    #expect(try outcomes() == ["removed", "removed", "kept"])
    #expect(try entries() == [".x.leank-parts", "dense", "keep.leank-partial-1"])
    #expect(try outcomes("--parts") == ["removed"])
    #expect(try entries() == ["dense", "keep.leank-partial-1"])
    #expect(
      try leank(expecting: 0, ["clean", folder.path]).output == "nothing was left behind\n")
    try leank(expecting: 6, ["clean", folder.path("nowhere")])
  }
}
