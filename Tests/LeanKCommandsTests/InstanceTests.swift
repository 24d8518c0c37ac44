import Foundation
import LeanKCommands
import LeanKFormat
import LeanKMask
import StrictJSON
import TestSupport
import Testing

/// Files of several masks, through every command that takes one.
@Suite("Instances")
struct InstanceTests {
  private let model = Fixtures.path("Models/leank-tiny")
  private let scores = Fixtures.path("Masks/leank-tiny/static_pairs_alpha_r0.5.tsv")
  private static let ratios = ["0.5", "0.25", "0.75"]

  /// Three masks of one set of scores, in one file or in a file each.
  private func make(
    in directory: TemporaryDirectory, _ more: [String] = [], name: String = "ratios.leank"
  ) throws -> String {
    let path = directory.path(name)
    try leank(
      expecting: 0,
      ["mask", scores, "--model", model, "--align", "16", "--output", path]
        + Self.ratios.flatMap { ["--ratio", $0] } + more)
    return path
  }

  private func file(_ path: String) throws -> LeankFile {
    try LeankFile([UInt8](Data(contentsOf: URL(filePath: path))), path: path)
  }

  @Test("several ratios are smaller in one file, and the same masks")
  func ratios() throws {
    let directory = try TemporaryDirectory()
    let together = try file(make(in: directory))
    #expect(together.instances.compactMap { $0.alignment?.targetRatio } == [0.5, 0.25, 0.75])
    #expect(together.sections.filter { $0.tag == "SCOR" }.count == 1)
    _ = try make(in: directory, ["--separate"], name: "each.leank")
    let separate = try Self.ratios.map { try file(directory.path("each-\($0).leank")) }
    #expect(separate.map(\.contentID) == together.identities)
    #expect(separate.map(\.document) == together.instances)
    #expect(together.byteCount < separate.reduce(0) { $0 + $1.byteCount })
    #expect(!FileManager.default.fileExists(atPath: directory.path("each.leank")))
  }

  @Test("nothing is written where the name of one file is taken, or a ratio is given twice")
  func taken() throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write([1], to: "m-0.75.leank")
    let arguments =
      ["mask", scores, "--model", model, "--align", "16", "--output", directory.path("m.leank")]
      + ["--ratio", "0.5", "--ratio", "0.75", "--separate"]
    try leank(expecting: 8, arguments)
    #expect(!FileManager.default.fileExists(atPath: directory.path("m-0.5.leank")))
    try leank(expecting: 0, arguments + ["--force"])
    try leank(expecting: 2, arguments + ["--ratio", "0.5"])
  }

  @Test("inspect lists the masks and shows each")
  func inspect() throws {
    let directory = try TemporaryDirectory()
    let path = try make(in: directory)
    let identities = try file(path).identities.map(\.hex)
    for instance in 0..<3 {
      let json = try leank(
        expecting: 0, ["inspect", path, "--instance", "\(instance)", "--json"]
      ).json
      #expect(json["instance"]?.integer == instance)
      let listed = try #require(json["instances"])
      #expect(listed.count == 3)
      for (index, (_, entry)) in listed.children.enumerated() {
        #expect(entry["instance"]?.integer == index)
        #expect(entry["content_id"]?.string == identities[index])
        #expect(entry["shares_scores"]?.bool == (index > 0))
        #expect(
          entry["alignment"]?["target_ratio"]?.numberText.flatMap { Double($0) }
            == Double(Self.ratios[index]))
        if index == instance {
          #expect(entry["channels_kept"]?.integer == json["channels_kept"]?.integer)
        }
      }
    }
    let text = try leank(expecting: 0, ["inspect", path]).output
    #expect(text.contains("3 masks, this is 0"))
    for identity in identities { #expect(text.contains(identity.prefix(16))) }
    let run = try leank(expecting: 2, ["inspect", path, "--instance", "3"])
    #expect(run.diagnostics.contains("holds 3 masks, 0 to 2"))
    try leank(expecting: 2, ["inspect", path, "--instance", "-1"])
    try leank(
      expecting: 2,
      ["inspect", Fixtures.path("Masks/lookalike.pth"), "--instance", "1"])
  }

  @Test("convert writes the mask that was chosen as the only one, and verify knows it")
  func convert() throws {
    let directory = try TemporaryDirectory()
    let path = try make(in: directory)
    let masks = try file(path)
    for layout in ["rows", "cache", "zeroed"] {
      let output = directory.path(layout)
      try leank(
        expecting: 0,
        [
          "convert", "--model", model, "--mask", path, "--instance", "2", "--layout", layout,
          "--output", output, "--verify", "--quiet",
        ])
      let beside = try file(output + "/mask.leank")
      #expect(beside.instances.count == 1)
      if layout == "zeroed" {
        #expect(try beside.document.mask == masks.instances[2].mask.closed)
      } else {
        // the mask's file records the mode it was made for, which the source did not
        var expected = masks.instances[2]
        expected.deployment = beside.document.deployment
        expected.provenance = beside.document.provenance
        #expect(beside.document == expected)
      }
      try leank(expecting: 0, ["verify", model, output, "--decode", "4"])
      try leank(expecting: 2, ["verify", model, output, "--instance", "0"])
    }
  }

  /// The variations of windowed mode stand in config.json where they are asked for, and count.
  @Test("windowed prefill and zero empty heads are recorded")
  func variations() throws {
    let directory = try TemporaryDirectory()
    let path = try make(in: directory, ["--mode", "windowed", "--empty-heads", "zero"])
    #expect(try file(path).document.deployment?.window?.emptyHeads == .zero)
    let output = directory.path("out")
    try leank(
      expecting: 0,
      [
        "convert", "--model", model, "--mask", path, "--layout", "cache", "--prefill", "windowed",
        "--sink", "2", "--recent", "8", "--accumulate", "4", "--output", output, "--quiet",
      ])
    let configuration = try JSONDocument(
      [UInt8](Data(contentsOf: URL(filePath: output + "/config.json"))))
    #expect(configuration.root["leank"]?["prefill"]?.string == "windowed")
    #expect(configuration.root["leank"]?["empty_heads"]?.string == "zero")
    let inspected = try leank(expecting: 0, ["inspect", output, "--json"]).json["deployment"]
    #expect(inspected?["prefill"]?.string == "windowed")
    #expect(inspected?["empty_heads"]?.string == "zero")
    // the logits are those of a run that asks for the variations, and not of one that asks for others
    func logits(_ arguments: [String]) throws -> [Float] {
      let saved = directory.path("logits.safetensors")
      try leank(
        expecting: 0,
        ["verify", model] + arguments + [
          "--prompt-length", "24", "--decode", "4", "--save-logits", saved,
        ])
      return try floats("logits_pruned", in: saved)
    }
    let window = ["--mask", path, "--sink", "2", "--recent", "8", "--accumulate", "4"]
    let recorded = try logits([output])
    #expect(try recorded == logits(window + ["--prefill", "windowed"]))
    #expect(try recorded != logits(window))
    #expect(
      try recorded != logits(window + ["--prefill", "windowed", "--empty-heads", "absent"]))
    try leank(
      expecting: 2,
      ["verify", model, "--mask", path, "--mode", "static", "--prefill", "windowed"])
  }

  /// A mask that needs no change goes beside a checkpoint under its own identity.
  @Test("the identity of a mask is the content id beside the checkpoint")
  func identity() throws {
    let directory = try TemporaryDirectory()
    let path = try make(in: directory, ["--mode", "static"])
    let output = directory.path("out")
    try leank(
      expecting: 0,
      [
        "convert", "--model", model, "--mask", path, "--instance", "1", "--output", output,
        "--quiet",
      ])
    #expect(try file(output + "/mask.leank").contentID == file(path).identities[1])
  }

  @Test("verify, bench, export and diff take one mask of a file")
  func others() throws {
    let directory = try TemporaryDirectory()
    let path = try make(in: directory)
    let masks = try file(path)
    var keys: [Int] = []
    for instance in 0..<3 {
      let chosen = ["--instance", "\(instance)"]
      let verified = try leank(
        expecting: 0, ["verify", model, "--mask", path, "--decode", "2", "--json"] + chosen
      ).json
      keys.append(try #require(verified["k_cache_bytes"]?["pruned"]?.integer))
      let exported = directory.path("mask-\(instance).json")
      try leank(expecting: 0, ["export", path, "--what", "mask", "--output", exported] + chosen)
      let again = directory.path("again-\(instance).leank")
      try leank(expecting: 0, ["import", exported, "--output", again])
      #expect(try file(again).document.mask == masks.instances[instance].mask)
      let difference = try leank(
        expecting: instance == 0 ? 0 : 1,
        ["diff", path, path, "--instance", "0"] + chosen)
      #expect(difference.output.isEmpty == false)
      try leank(expecting: 0, ["diff", path, path] + chosen)
    }
    // pruned 0.5, 0.25 and 0.75
    #expect(keys[1] > keys[0] && keys[0] > keys[2])
    let bench = ["bench", "--mask", path, "--context", "64", "--json", "--instance"]
    let bytes = try ["0", "2"].map { instance in
      let results = try leank(expecting: 0, bench + [instance]).json["results"]
      let inStaticMode = results?.children.map(\.value).first { $0["mode"]?.string == "static" }
      return try #require(inStaticMode?["pruned_bytes"]?.integer)
    }
    #expect(bytes[0] > bytes[1])
    try leank(expecting: 2, bench + ["3"])
  }

  @Test("import keeps all masks of a file, or takes one")
  func importing() throws {
    let directory = try TemporaryDirectory()
    let path = try make(in: directory)
    let masks = try file(path)
    let all = directory.path("all.leank")
    try leank(
      expecting: 0,
      ["import", path, "--output", all, "--mode", "windowed", "--empty-heads", "zero"])
    let copied = try file(all)
    #expect(copied.instances.map(\.mask) == masks.instances.map(\.mask))
    #expect(copied.instances.allSatisfy { $0.deployment?.window?.emptyHeads == .zero })
    let one = directory.path("one.leank")
    try leank(
      expecting: 0, ["import", path, "--instance", "1", "--output", one, "--no-provenance"])
    #expect(try file(one).instances.map(\.mask) == [masks.instances[1].mask])
    try leank(expecting: 2, ["import", path, "--instance", "5", "--output", one, "--force"])
  }

  /// Files of the time before 1.0 are refused by name, whatever they are called.
  @Test("drafts are refused by name", arguments: ["draft.leank", "draft.pth"])
  func drafts(name: String) throws {
    let directory = try TemporaryDirectory()
    let draft = try directory.write(
      [0x89, 0x4C, 0x4E, 0x4B, 0x0D, 0x0A, 0x1A, 0x0A, 1, 0, 0, 0, 64, 0, 0, 0]
        + [UInt8](repeating: 0, count: 100), to: name)
    let run = try leank(expecting: 4, ["inspect", draft])
    #expect(run.diagnostics.contains("a draft of the .leank format"))
  }
}
