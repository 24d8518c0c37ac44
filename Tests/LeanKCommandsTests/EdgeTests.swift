import Foundation
import LeanKCommands
import TestSupport
import Testing

/// Numbers at the ends of their ranges, options that a run would ignore, and outputs that it may not
/// touch.
@Suite("Edges") struct EdgeTests {
  private let folder: TemporaryDirectory
  private let dense: String
  private let pruned: String
  private let mask: String
  private let files = FileManager.default

  init() throws {
    folder = try TemporaryDirectory()
    dense = try copyModel("llama_gqa", to: folder)
    mask = folder.path("mask.leank")
    pruned = folder.path("pruned")
    try leank(
      expecting: 0,
      [
        "import", Fixtures.path("Reference/llama_gqa/mask.npy"), "--model", dense, "--output", mask,
      ])
    try leank(
      expecting: 0,
      ["convert", "--model", dense, "--mask", mask, "--output", pruned, "--quiet"])
  }

  // MARK: - Counts

  @Test(
    "counts that nothing can hold are refused",
    arguments: [
      "verify DENSE PRUNED --decode N", "verify DENSE PRUNED --greedy N",
      "verify DENSE PRUNED --prompt-length N", "verify DENSE PRUNED --threads N",
      "verify DENSE --mask MASK --decode N --prompt-length N",
      "bench --mask MASK --context N", "bench --mask MASK --query-heads N --context 16",
      "bench --mask MASK --threads N", "inspect MASK --context N", "inspect MASK --layer N",
      "inspect MASK --layer 0 --head N", "import MASK --align N --output OUT",
      "import MASK --sink N --output OUT", "import MASK --recent N --output OUT",
      "convert --model DENSE --mask MASK --output OUT --context N",
      "convert --model DENSE --mask MASK --output OUT --threads N",
      "convert --model DENSE --mask MASK --output OUT --shard N/N",
      "convert --model DENSE --mask MASK --output OUT --layout cache --recent N",
    ], ["9223372036854775807", "9223372036854775806", "4611686018427387904"])
  func hugeCounts(_ line: String, _ count: String) throws {
    let run = CommandRun(arguments(line, count))
    #expect(run.code == 2 || run.code == 5, "\(run.code) \(run.diagnostics)")
    #expect(!files.fileExists(atPath: folder.path("out")))
  }

  @Test("2^31 - 1 tokens are too many", arguments: ["--decode", "--greedy", "--prompt-length"])
  func manyTokens(_ option: String) {
    let run = leank("verify", dense, pruned, option, "2147483647")
    #expect(run.code == 5, "\(run.diagnostics)")
    #expect(run.diagnostics.contains("the limit is 16777216 tokens in all"))
  }

  @Test("windows of 2^31 - 1 are legal, and a run that needs as many tokens is refused")
  func hugeWindows() throws {
    let cache = folder.path("cache")
    let window = ["--sink", "2147483647", "--recent", "2147483647", "--accumulate", "2147483647"]
    try leank(
      expecting: 0,
      [
        "convert", "--model", dense, "--mask", mask, "--output", cache, "--layout", "cache",
        "--mode", "windowed",
      ] + window)
    try leank(expecting: 0, ["inspect", cache, "--json"])
    try leank(expecting: 0, ["verify", dense, cache, "--structure-only"])
    #expect(leank("verify", dense, cache).code == 5)
  }

  private func arguments(_ line: String, _ count: String = "") -> [String] {
    line.split(separator: " ").map { word in
      switch word {
      case "DENSE": dense
      case "PRUNED": pruned
      case "MASK": mask
      case "OUT": folder.path("out")
      default: String(word.replacing("N", with: count))
      }
    }
  }

  // MARK: - Options

  @Test(
    "options that a run would ignore are refused",
    arguments: [
      "verify DENSE PRUNED --structure-only --greedy 2",
      "verify DENSE PRUNED --structure-only --layers",
      "verify DENSE PRUNED --structure-only --seed 1",
      "verify DENSE PRUNED --structure-only --exact",
      "verify DENSE PRUNED --structure-only --mode static",
      "verify DENSE PRUNED --structure-only --save-logits OUT",
      "verify DENSE PRUNED --prefill windowed", "verify DENSE PRUNED --empty-heads zero",
      "verify DENSE PRUNED --tokens x.json --seed 1", "inspect DENSE --model DENSE",
      "inspect MASK --layer 0 --context 16", "import MASK --kind own --output OUT",
    ])
  func ignoredOptions(_ line: String) {
    let run = CommandRun(arguments(line))
    #expect(run.code == 2, "\(run.code) \(run.diagnostics)")
  }

  /// A checkpoint that cannot be opened any more would be the first thing to fail otherwise.
  @Test("what is written is checked before what is read")
  func outputsFirst() throws {
    try Data().write(to: URL(filePath: folder.path("out")))
    for line in [
      "import nothing.npy --output OUT", "export nothing.leank --output nowhere/x.npy",
      "mask nothing.npy --ratio 0.5 --align 2 --output OUT",
    ] {
      let code = CommandRun(arguments(line)).code
      #expect(code == (line.hasPrefix("export") ? 6 : 8), "\(line)")
    }
  }

  @Test("verify looks at tokens and modes before it compares tensors")
  func tokensBeforeTensors() throws {
    let weights = URL(filePath: pruned + "/model.safetensors")
    var bytes = try Data(contentsOf: weights)
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: weights)
    #expect(leank("verify", dense, pruned).code == 1)
    #expect(leank("verify", dense, pruned, "--mode", "windowed").code == 2)
    let tokens = try folder.write(Array("[999999999]".utf8), to: "tokens.json")
    #expect(leank("verify", dense, pruned, "--tokens", tokens).code == 3)
    let file = try folder.write([1], to: "file")
    #expect(leank("verify", dense, pruned, "--save-logits", file + "/x").code == 6)
  }

  @Test("a dry run says what a real one would refuse")
  func dryRun() throws {
    let line = "convert --model DENSE --mask MASK --output OUT --dry-run"
    try leank(expecting: 0, arguments(line))
    try files.createDirectory(atPath: folder.path("out"), withIntermediateDirectories: false)
    try leank(expecting: 8, arguments(line))
    try leank(expecting: 0, arguments(line + " --force"))
    try folder.write([1], to: "out/precious")
    let run = try leank(expecting: 8, arguments(line + " --force"))
    #expect(run.diagnostics.contains("--force-any"))
    try leank(expecting: 0, arguments(line + " --force-any"))
    #expect(try files.contentsOfDirectory(atPath: folder.path("out")) == ["precious"])
  }

  @Test("a source with a member leank is refused by its own name", arguments: ["null", "{}", "3"])
  func alreadyPruned(_ value: String) throws {
    let path = dense + "/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try Data(text.replacing("{", with: "{\"leank\": \(value),", maxReplacements: 1).utf8)
      .write(to: URL(filePath: path))
    let run = CommandRun(arguments("convert --model DENSE --mask MASK --output OUT"))
    #expect(run.code == (value == "null" ? 4 : 3))
    #expect(run.diagnostics.contains(path))
    #expect(!run.diagnostics.contains("leank-partial"))
  }

  // MARK: - Outputs

  @Test("logits take no input's place, through whatever names they are reached")
  func logitsOverInputs() throws {
    // A cache of downloads: the checkpoint's files are links to others.
    let linked = folder.path("snapshot")
    let blobs = folder.path("blobs")
    try files.createDirectory(atPath: linked, withIntermediateDirectories: false)
    try files.createDirectory(atPath: blobs, withIntermediateDirectories: false)
    for name in try files.contentsOfDirectory(atPath: dense) {
      try files.copyItem(atPath: dense + "/" + name, toPath: blobs + "/" + name)
      try files.createSymbolicLink(
        atPath: linked + "/" + name, withDestinationPath: "../blobs/" + name)
    }
    try files.createSymbolicLink(atPath: folder.path("way"), withDestinationPath: "pruned")
    let before = try Data(contentsOf: URL(filePath: blobs + "/model.safetensors"))
    for output in [
      blobs + "/model.safetensors", linked + "/model.safetensors", linked + "/logits.safetensors",
      folder.path("way/logits.safetensors"), folder.path("way/model.safetensors"),
    ] {
      let run = leank("verify", linked, pruned, "--save-logits", output)
      #expect(run.code == 8, "\(output): \(run.diagnostics)")
    }
    #expect(try Data(contentsOf: URL(filePath: blobs + "/model.safetensors")) == before)
    try leank(
      expecting: 0, ["verify", linked, pruned, "--save-logits", folder.path("logits.safetensors")])
    try leank(
      expecting: 0, ["verify", linked, pruned, "--save-logits", folder.path("logits.safetensors")])
  }

  @Test("names of 255 bytes are names", arguments: ["x", "\u{E9}"])
  func longNames(_ letter: String) throws {
    let name = String(repeating: letter, count: 255 / letter.utf8.count)
    let output = folder.path(name)
    let convert = ["convert", "--model", dense, "--mask", mask, "--output", output, "--quiet"]
    try leank(expecting: 0, convert)
    try leank(expecting: 0, convert + ["--force"])
    try leank(expecting: 0, ["verify", dense, output, "--structure-only"])
    try files.removeItem(atPath: output)
    for part in ["1/2", "2/2"] { try leank(expecting: 0, convert + ["--shard", part]) }
    try leank(expecting: 0, convert + ["--commit"])
    try leank(expecting: 0, ["verify", dense, output, "--structure-only"])
    try leank(expecting: 0, ["import", mask, "--output", folder.path(name.dropLast(6) + ".leank")])
    #expect(
      try files.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix(".") } == [])
  }

  @Test("file names are escaped wherever they are printed")
  func escapedNames() throws {
    let name = "a\u{1B}[31mRED\n.bin"
    try Data("x".utf8).write(to: URL(filePath: dense + "/" + name))
    let run = try leank(
      expecting: 0, arguments("convert --model DENSE --mask MASK --output OUT"))
    #expect(run.output.contains("left out"))
    #expect(!(run.output + run.diagnostics).contains("\u{1B}"))
    try files.moveItem(atPath: dense + "/" + name, toPath: pruned + "/" + name)
    let verified = leank("verify", dense, pruned)
    #expect(verified.code == 1)
    #expect(!(verified.output + verified.diagnostics).contains("\u{1B}"))
  }

  @Test("copied files keep their mode", arguments: [0o644, 0o600, 0o755, 0o444])
  func modes(_ mode: Int) throws {
    let file = dense + "/tokenizer.json"
    try Data("{}".utf8).write(to: URL(filePath: file))
    try files.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
    let run = try shell(
      "umask 077; leank convert --model '\(dense)' --mask '\(mask)' --output '\(folder.path("out"))'"
    )
    #expect(run.code == 0, "\(run.diagnostics)")
    let copy = try files.attributesOfItem(atPath: folder.path("out/tokenizer.json"))
    #expect(copy[.posixPermissions] as? Int == mode)
  }

  @Test("Ctrl-\\ ends a conversion and leaves nothing")
  func quit() throws {
    // Two hundred megabytes, for the signal to come in between.
    let large = folder.path("dense/large.txt")
    #expect(files.createFile(atPath: large, contents: nil))
    let handle = try FileHandle(forWritingTo: URL(filePath: large))
    let block = Data(repeating: 7, count: 1 << 20)
    for _ in 0..<200 { try handle.write(contentsOf: block) }
    try handle.close()
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = [
      "-c", "ulimit -c 0; exec \"$@\"", "sh", builtCommand.path, "convert", "--model", dense,
      "--mask",
      mask, "--output", folder.path("out"), "--quiet",
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    func leftovers() throws -> [String] {
      try files.contentsOfDirectory(atPath: folder.path).filter { $0.contains("leank-partial") }
    }
    while process.isRunning, try leftovers().isEmpty {}
    kill(process.processIdentifier, SIGQUIT)
    process.waitUntilExit()
    let isWhole = files.fileExists(atPath: folder.path("out"))
    #expect(isWhole || process.terminationReason == .uncaughtSignal)
    #expect(isWhole || process.terminationStatus == SIGQUIT)
    #expect(try leftovers() == [])
  }

  @Test("an index that names only model.safetensors is no second source")
  func indexOfOneFile() throws {
    let source = folder.path("indexed")
    try files.copyItem(atPath: dense, toPath: source)
    let names = try tensorNames(in: source + "/model.safetensors")
    let map = names.map { "\"\($0)\": \"model.safetensors\"" }.joined(separator: ", ")
    try folder.write(
      Array("{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\(map)}}".utf8),
      to: "indexed/model.safetensors.index.json")
    let out = folder.path("out")
    try leank(
      expecting: 0,
      ["convert", "--model", source, "--mask", mask, "--output", out, "--quiet", "--verify"])
    try leank(expecting: 0, ["verify", source, out])
    #expect(files.fileExists(atPath: out + "/model.safetensors.index.json"))
  }
}
