import Foundation
import StrictJSON
import TestSupport
import Testing

/// A conversion by many processes, as the tasks of a batch scheduler run it.
@Suite struct ShardTests {
  private let folder: TemporaryDirectory
  private let dense: String
  private let mask = Fixtures.path("Reference/llama_bias_sharded/mask.npy")
  private let files = FileManager.default

  init() throws {
    folder = try TemporaryDirectory()
    dense = try copyModel("llama_bias_sharded", to: folder)
  }

  private func arguments(_ output: String = "out", _ more: String...) -> [String] {
    ["convert", "--model", dense, "--mask", mask, "--output", folder.path(output)] + more
  }

  private func start(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = builtCommand
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  private func expectSameDirectories(_ one: String, _ other: String) throws {
    let names = try files.contentsOfDirectory(atPath: folder.path(one)).sorted()
    #expect(try files.contentsOfDirectory(atPath: folder.path(other)).sorted() == names)
    for name in names {
      #expect(
        files.contentsEqual(
          atPath: folder.path(one + "/" + name), andPath: folder.path(other + "/" + name)),
        "\(name)")
    }
  }

  /// A fourth file that takes a while to write: one tensor that no model knows.
  private func addLargeShard() throws -> String {
    let name = "model-large.safetensors"
    let size = 128 << 20
    var header = #"{"large":{"dtype":"U8","shape":[\#(size)],"data_offsets":[0,\#(size)]}}"#
    header += String(repeating: " ", count: 7 - (header.utf8.count + 7) % 8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
    try folder.write(length + header.utf8, to: "dense/" + name)
    let file = try FileHandle(forWritingTo: URL(filePath: dense + "/" + name))
    try file.truncate(atOffset: UInt64(8 + header.utf8.count + size))
    try file.close()
    let index = dense + "/model.safetensors.index.json"
    let text = try String(contentsOfFile: index, encoding: .utf8)
    let place = try #require(text.range(of: "\"weight_map\": {"))
    try text.replacingCharacters(in: place, with: "\"weight_map\": {\"large\": \"\(name)\",")
      .write(toFile: index, atomically: true, encoding: .utf8)
    return name
  }

  @Test func aKilledPartIsRunAgain() throws {
    let large = try addLargeShard()
    let parts = folder.path(".out.leank-parts")
    // The largest file is what part 1 begins with.
    let others = try [2, 3].map { try start(arguments("out", "--shard", "\($0)/3")) }
    let killed = try start(arguments("out", "--shard", "1/3"))
    while killed.isRunning {
      let names = (try? files.contentsOfDirectory(atPath: parts)) ?? []
      if names.contains(where: { $0.hasPrefix(".\(large).leank-partial-") }) { break }
    }
    kill(killed.processIdentifier, SIGKILL)
    for process in others + [killed] { process.waitUntilExit() }
    #expect(others.map(\.terminationStatus) == [0, 0])
    #expect(killed.terminationReason == .uncaughtSignal)
    #expect(killed.terminationStatus == SIGKILL)
    #expect(!files.fileExists(atPath: parts + "/" + large))

    let early = leank(
      "convert", "--model", dense, "--mask", mask, "--output", folder.path("out"),
      "--commit")
    #expect(early.code == 6)
    #expect(early.diagnostics.contains("1 of 4 files"))
    #expect(early.diagnostics.contains(large))
    #expect(!files.fileExists(atPath: folder.path("out")))

    let again = try start(arguments("out", "--shard", "1/3"))
    again.waitUntilExit()
    #expect(again.terminationStatus == 0)
    let names = try files.contentsOfDirectory(atPath: parts)
    #expect(!names.contains { $0.contains("leank-partial") })
    try leank(expecting: 0, arguments("out", "--commit", "--verify", "--quiet"))
    try leank(expecting: 0, arguments("whole", "--quiet"))
    try expectSameDirectories("whole", "out")
    #expect(
      try files.contentsOfDirectory(atPath: folder.path).sorted() == ["dense", "out", "whole"])
  }

  @Test func twoTasksMayHaveOnePart() throws {
    let tasks = try (0..<4).map { _ in try start(arguments("out", "--shard", "1/1")) }
    tasks.forEach { $0.waitUntilExit() }
    #expect(tasks.map(\.terminationStatus) == [0, 0, 0, 0])
    try leank(expecting: 0, arguments("out", "--commit"))
    try leank(expecting: 0, arguments("whole"))
    try expectSameDirectories("whole", "out")
  }

  @Test func twoCommitsMakeOneOutput() throws {
    try leank(expecting: 0, arguments("out", "--shard", "1/1"))
    let commits = try (0..<2).map { _ in try start(arguments("out", "--commit")) }
    commits.forEach { $0.waitUntilExit() }
    // The other finds the output, the lock, or the parts gone.
    #expect(commits.map(\.terminationStatus).sorted().first == 0)
    #expect([6, 8].contains(commits.map(\.terminationStatus).max()))
    try leank(expecting: 0, arguments("whole"))
    try expectSameDirectories("whole", "out")
  }

  @Test func partsOfOtherInputsAreRefused() throws {
    let first = try leank(expecting: 0, arguments("out", "--shard", "1/2", "--json"))
    #expect(try first.json["part"]?["number"]?.integer == 1)
    #expect(try first.json["part"]?["written"]?.count == 1)
    for other in [["--layout", "zeroed"], ["--layout", "cache", "--mode", "windowed"]] {
      let run = try leank(expecting: 8, arguments("out", "--shard", "2/2") + other)
      #expect(run.diagnostics.contains("another mask, layout, mode, source or version"))
      try leank(expecting: 8, arguments("out", "--commit") + other)
    }
    let again = try leank(expecting: 0, arguments("out", "--shard", "1/2"))
    #expect(again.output.contains("0 files written, 1 were complete"))
  }

  @Test(arguments: [
    ["--shard", "1/2", "--commit"], ["--shard", "1/2", "--verify"], ["--shard", "3/2"],
    ["--shard", "0/2"], ["--shard", "1"], ["--context", "0"],
  ])
  func impossibleOptions(_ options: [String]) throws {
    try leank(expecting: 2, arguments() + options)
  }
}
