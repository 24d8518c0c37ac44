import Foundation
import LeanKCommands
import LeanKInterchange
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// A pruned checkpoint that is not what its mask asks for is found out, and the place is named.
@Suite("Tampering")
struct TamperTests {
  private let directory: TemporaryDirectory
  private let dense: String
  private let pruned: String

  init() throws {
    directory = try TemporaryDirectory()
    dense = try copyModel("llama_gqa", to: directory)
    pruned = directory.path("pruned")
    try leank(
      expecting: 0,
      [
        "convert", "--model", dense, "--mask", Fixtures.path("Reference/llama_gqa/mask.npy"),
        "--output", pruned, "--quiet",
      ])
  }

  private var weights: String { pruned + "/model.safetensors" }

  private func verify() -> CommandRun { leank("verify", dense, pruned, "--structure-only") }

  /// Bytes of `tensor` in the file, as a range of the file.
  private func place(_ tensor: String) throws -> (range: Range<Int>, rowBytes: Int) {
    let file = try SafetensorsFile(path: weights)
    let info = try #require(file[tensor])
    let start = file.header.dataStart
    return (start + info.range.lowerBound..<start + info.range.upperBound, info.rowBytes)
  }

  private func change(_ body: (inout [UInt8]) -> Void) throws {
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: weights)))
    body(&bytes)
    try Data(bytes).write(to: URL(filePath: weights))
  }

  @Test("an untouched checkpoint passes")
  func untouched() { #expect(verify().code == 0) }

  @Test(
    "one flipped bit is found and named",
    arguments: [
      ("model.layers.1.self_attn.k_proj.weight", "head"),
      ("model.layers.0.self_attn.q_proj.weight", "head"),
      ("model.layers.0.self_attn.v_proj.weight", "row"),
      ("model.layers.1.mlp.down_proj.weight", "row"),
      ("model.embed_tokens.weight", "row"),
      ("model.norm.weight", "element"),
    ])
  func flippedBit(tensor: String, place word: String) throws {
    let (range, _) = try place(tensor)
    try change { $0[range.lowerBound + range.count / 2] ^= 0x10 }
    let run = verify()
    #expect(run.code == 1)
    #expect(run.output.contains(tensor))
    #expect(run.output.contains(word))
  }

  @Test("two kept rows that changed places are found")
  func swappedRows() throws {
    let (range, rowBytes) = try place("model.layers.1.self_attn.k_proj.weight")
    try #require(range.count >= 2 * rowBytes)
    try change { bytes in
      for index in range.lowerBound..<range.lowerBound + rowBytes {
        bytes.swapAt(index, index + rowBytes)
      }
    }
    let run = verify()
    #expect(run.code == 1)
    #expect(run.output.contains("row 0"))
    #expect(run.output.contains("row 1"))
  }

  @Test("a row outside the closure in the place of one inside is found")
  func wrongRow() throws {
    // Layer 0 of the dense checkpoint: some row that the pruned tensor lacks, over its first.
    let name = "model.layers.0.self_attn.k_proj.weight"
    let (range, rowBytes) = try place(name)
    let source = try SafetensorsFile(path: dense + "/model.safetensors")
    let all = try source.array(#require(source[name])).bytes
    let rows = stride(from: 0, to: all.count, by: rowBytes).map { Array(all[$0..<$0 + rowBytes]) }
    let kept = try SafetensorsFile(path: weights)
    let keptBytes = try kept.array(#require(kept[name])).bytes
    let keptRows = Set(
      stride(from: 0, to: keptBytes.count, by: rowBytes).map {
        Array(keptBytes[$0..<$0 + rowBytes])
      })
    let foreign = try #require(rows.first { !keptRows.contains($0) })
    try change { $0.replaceSubrange(range.lowerBound..<range.lowerBound + rowBytes, with: foreign) }
    let run = verify()
    #expect(run.code == 1)
    #expect(run.output.contains(name))
  }

  @Test("another mask than the one config.json names is found")
  func otherMask() throws {
    let other = directory.path("other.leank")
    try leank(
      expecting: 0,
      [
        "import", Fixtures.path("Reference/llama_gqa/mask.npy"), "--model", dense, "--align", "2",
        "--output", other,
      ])
    let manager = FileManager.default
    try manager.removeItem(atPath: pruned + "/mask.leank")
    try manager.copyItem(atPath: other, toPath: pruned + "/mask.leank")
    let run = verify()
    #expect(run.code == 1)
    #expect(run.output.contains("mask"))
  }

  @Test("a missing tensor is found")
  func missingTensor() throws {
    let name = "model.layers.1.self_attn.v_proj.weight"
    let file = try SafetensorsFile(path: weights)
    let rest = try file.header.tensors.filter { $0.name != name }.map {
      (name: $0.name, array: try file.array($0))
    }
    try Data(encodeSafetensors(rest, metadata: file.header.metadata)).write(
      to: URL(filePath: weights))
    for run in [verify(), leank("verify", dense, pruned)] {
      #expect(run.code == 1)
      #expect(run.output.contains(name + ": missing"))
    }
  }

  @Test(
    "another object leank than the files say is found",
    arguments: [("layout", "rows", "cache"), ("layout", "rows", "zeroed")])
  func otherObject(key: String, value: String, other: String) throws {
    let path = pruned + "/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let changed = text.replacing("\"\(key)\": \"\(value)\"", with: "\"\(key)\": \"\(other)\"")
    try #require(changed != text)
    try Data(changed.utf8).write(to: URL(filePath: path))
    #expect(verify().code == 1)
  }

  @Test("a changed configuration is found")
  func changedConfiguration() throws {
    let path = pruned + "/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let changed = text.replacing("\"rms_norm_eps\": 1e-06", with: "\"rms_norm_eps\": 1e-05")
    try #require(changed != text)
    try Data(changed.utf8).write(to: URL(filePath: path))
    #expect(verify().code == 1)
  }

  private func edit(_ name: String, _ change: (String) -> String) throws {
    let text = try String(contentsOfFile: pruned + "/" + name, encoding: .utf8)
    let changed = change(text)
    try #require(changed != text)
    try Data(changed.utf8).write(to: URL(filePath: pruned + "/" + name))
  }

  @Test("LEANK.md is what its version writes")
  func changedCard() throws {
    try edit("LEANK.md") { $0.replacing("of the K channels", with: "of all channels") }
    let run = verify()
    #expect(run.code == 1)
    #expect(run.output.contains("LEANK.md: line 11 is not what leank \(leankVersion) writes"))
  }

  @Test("a LEANK.md of another version is named, and no failure")
  func cardOfAnotherVersion() throws {
    try edit("LEANK.md") { $0.replacing("leank \(leankVersion)\n", with: "leank 77.0\n") }
    let run = verify()
    #expect(run.code == 0)
    #expect(run.output.contains("leank 77.0 wrote it"))
    let json = leank("verify", dense, pruned, "--structure-only", "--json")
    #expect(json.code == 0)
    let notes = try json.json["structure"]?["notes"]?.children.map(\.value).compactMap(\.string)
    #expect(notes?.count == 1)
    try FileManager.default.removeItem(atPath: pruned + "/LEANK.md")
    #expect(verify().code == 0)
    #expect(verify().output.contains("LEANK.md is not there"))
  }

  @Test("what convert did not write is listed")
  func additions() throws {
    try Data("x".utf8).write(to: URL(filePath: pruned + "/NOTES.md"))
    let run = verify()
    #expect(run.code == 0)
    #expect(run.output.contains("not written by convert: NOTES.md"))
    let json = try leank("verify", dense, pruned, "--structure-only", "--json").json
    #expect(
      json["structure"]?["additions"]?.children.compactMap(\.value.string) == ["NOTES.md"])
    try Data("x".utf8).write(to: URL(filePath: pruned + "/modeling_x.py"))
    #expect(verify().code == 1)
    #expect(verify().output.contains("modeling_x.py: added"))
  }

  @Test("a mask that was made for another configuration draws a warning")
  func maskOfAnotherModel() throws {
    let mask = directory.path("mask.leank")
    let other = try copyModel("llama_gqa", to: directory, as: "other")
    let path = other + "/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try Data((text + "\n").utf8).write(to: URL(filePath: path))
    try leank(
      expecting: 0,
      [
        "import", Fixtures.path("Reference/llama_gqa/mask.npy"), "--model", other, "--output", mask,
      ])
    let out = directory.path("out")
    for command in [
      ["convert", "--model", dense, "--mask", mask, "--output", out],
      ["verify", dense, "--mask", mask], ["verify", dense, out],
    ] {
      let run = try leank(expecting: 0, command)
      #expect(run.diagnostics.contains("warning: "))
      #expect(run.diagnostics.contains("was made for another configuration"))
    }
    #expect(!leank("verify", dense, pruned).diagnostics.contains("another configuration"))
  }

  @Test("every flipped bit among many is found", arguments: [UInt64(5), 6])
  func manyBits(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let file = try SafetensorsFile(path: weights)
    let original = [UInt8](try Data(contentsOf: URL(filePath: weights)))
    for _ in 0..<20 {
      let index = Int.random(in: file.header.dataStart..<original.count, using: &generator)
      let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
      var bytes = original
      bytes[index] ^= bit
      try Data(bytes).write(to: URL(filePath: weights))
      #expect(verify().code == 1, "seed \(seed), byte \(index), bit \(bit)")
    }
  }
}
