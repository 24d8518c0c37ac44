import Foundation
import LeanKCommands
import TestSupport
import Testing

/// Bad input ends with one clear line and the documented exit code, and leaves nothing behind.
@Suite("Refusals")
struct RefusalTests {
  private let directory: TemporaryDirectory
  private let dense: String
  private let mask = Fixtures.path("Reference/llama_bias_sharded/mask.npy")

  init() throws {
    directory = try TemporaryDirectory()
    dense = try copyModel("llama_bias_sharded", to: directory)
  }

  private func convert(_ options: [String] = [], mask: String? = nil) -> CommandRun {
    CommandRun(
      [
        "convert", "--model", dense, "--mask", mask ?? self.mask, "--output", directory.path("out"),
        "--quiet",
      ] + options)
  }

  @Test("an unknown activation stops the decoder alone")
  func unknownActivation() throws {
    let path = dense + "/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try FileManager.default.removeItem(atPath: path)
    try text.replacing("\"silu\"", with: "\"mish\"")
      .write(toFile: path, atomically: true, encoding: .utf8)
    #expect(CommandRun(["inspect", dense, "--json"]).code == 0)
    #expect(convert().code == 0)
    let run = CommandRun(["verify", dense, directory.path("out")])
    #expect(run.code == 4)
    #expect(run.diagnostics.contains("activation \"mish\" is not computed"), "\(run.diagnostics)")
    #expect(CommandRun(["verify", dense, directory.path("out"), "--structure-only"]).code == 0)
  }

  /// One line, with the words that name the trouble; no output directory.
  private func expect(
    _ run: CommandRun, code: CInt, _ words: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(run.code == code, "\(run.diagnostics)", sourceLocation: sourceLocation)
    #expect(run.output.isEmpty, sourceLocation: sourceLocation)
    let lines = run.diagnostics.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(
      lines.count == 2 && lines.last == "", "\(run.diagnostics)", sourceLocation: sourceLocation)
    #expect(run.diagnostics.hasPrefix("leank: "), sourceLocation: sourceLocation)
    for word in words {
      #expect(run.diagnostics.contains(word), "\(run.diagnostics)", sourceLocation: sourceLocation)
    }
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
    #expect(
      !entries.contains { $0.hasPrefix(".out") || $0 == "out" }, sourceLocation: sourceLocation)
  }

  private func edit(_ file: String, _ change: (String) -> String) throws {
    let url = URL(filePath: dense + "/" + file)
    let text = try String(contentsOf: url, encoding: .utf8)
    let changed = change(text)
    try #require(changed != text)
    try Data(changed.utf8).write(to: url)
  }

  @Test("missing files")
  func missing() throws {
    expect(convert(mask: directory.path("absent.leank")), code: 6, "absent.leank", "no such file")
    expect(
      leank(
        "convert", "--model", directory.path("absent"), "--mask", mask, "--output",
        directory.path("out")),
      code: 6, "absent")
    try FileManager.default.removeItem(atPath: dense + "/model-00002-of-00003.safetensors")
    // The checkpoint is there, but not whole.
    expect(convert(), code: 3, "index", "model-00002-of-00003.safetensors", "no such file")
  }

  @Test("a truncated shard")
  func truncatedShard() throws {
    let path = dense + "/model-00002-of-00003.safetensors"
    let bytes = try Data(contentsOf: URL(filePath: path))
    try bytes.dropLast(7).write(to: URL(filePath: path))
    expect(convert(), code: 3, "model-00002-of-00003.safetensors", "bytes")
  }

  @Test("a mask for another geometry")
  func otherGeometry() {
    expect(
      convert(mask: Fixtures.path("Reference/llama_gqa/mask.npy")), code: 3, "layer 0", "KV heads")
    expect(
      convert(mask: Fixtures.path("Masks/leank-tiny/static_mask_r0.5_align16.npy")), code: 3,
      "layers")
  }

  @Test("an unknown model_type is named, with the nearest way out")
  func unknownModel() throws {
    try edit("config.json") { $0.replacing("\"llama\"", with: "\"lhama\"") }
    expect(convert(), code: 4, "\"lhama\" is not known", "nearest is llama")
  }

  @Test("an existing output is refused and left alone")
  func existingOutput() throws {
    try directory.write([1], to: "out/file")
    let run = convert()
    #expect(run.code == 8)
    #expect(run.diagnostics.contains("--force"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path("out")) == ["file"])
    #expect(convert(["--force"]).code == 8)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path("out")) == ["file"])
    #expect(convert(["--force-any"]).code == 0)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: directory.path("out")).contains(
        "mask.leank"))
  }

  @Test("an output inside the source")
  func outputInsideSource() {
    expect(
      leank("convert", "--model", dense, "--mask", mask, "--output", dense + "/out", "--quiet"),
      code: 8)
  }

  @Test("a source that is already pruned")
  func alreadyPruned() throws {
    #expect(convert().code == 0)
    let run = leank(
      "convert", "--model", directory.path("out"), "--mask", mask, "--output",
      directory.path("again"))
    #expect(run.code == 4)
    #expect(run.diagnostics.contains("already pruned"))
    let verify = leank("verify", directory.path("out"), directory.path("out"))
    #expect(verify.code == 4)
  }

  @Test("a single file beside an index is ambiguous")
  func ambiguous() throws {
    try directory.write([], to: "dense/model.safetensors")
    expect(convert(), code: 3, "model.safetensors.index.json")
  }

  @Test("scores where a mask is needed name the way out")
  func scoresForMask() {
    expect(
      convert(mask: Fixtures.path("Reference/llama_bias_sharded/scores.npy")), code: 4,
      "leank mask",
      "--scores")
  }

  @Test("windowed rows are a usage error")
  func windowedRows() {
    expect(convert(["--mode", "windowed"]), code: 2, "--layout cache")
    expect(convert(["--layout", "zeroed", "--sink", "4"]), code: 2, "--mode windowed")
  }

  @Test("a windowed run without a middle key says how many tokens it takes")
  func nothingToTest() throws {
    let run = leank(
      "verify", dense, "--mask", mask, "--mode", "windowed", "--sink", "4", "--recent", "8",
      "--accumulate", "4", "--prompt-length", "2", "--decode", "4")
    expect(run, code: 2, "takes 14 tokens", "there are 6")
  }

  @Test("usage errors are 2, help and version are results")
  func usage() {
    #expect(leank("verify", dense).code == 2)
    #expect(leank("verify", dense, dense, "--mask", mask).code == 2)
    #expect(leank("convert", "--layout", "columns").code == 2)
    #expect(leank("nonsense").code == 2)
    #expect(leank("--version").code == 0)
    #expect(leank("--version").output == leankVersion + "\n")
    #expect(leank("convert", "--help").output.contains("EXAMPLE"))
  }

  @Test("a token outside the vocabulary")
  func foreignToken() throws {
    let tokens = try directory.write(Array("[1, 2, 256]".utf8), to: "tokens.json")
    expect(leank("verify", dense, "--mask", mask, "--tokens", tokens), code: 3, "256")
  }

  @Test(
    "token files that are none",
    arguments: [
      ("{}", "flat list"), ("[1.5]", "whole number"), ("[-1]", "whole number"), ("[1,", "ends"),
    ])
  func badTokens(text: String, word: String) throws {
    let tokens = try directory.write(Array(text.utf8), to: "tokens.json")
    expect(leank("verify", dense, "--mask", mask, "--tokens", tokens), code: 3, word)
  }
}
