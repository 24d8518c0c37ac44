import Foundation
import TestSupport
import Testing

/// The README's and the guides' own commands, run in the guides' order.
@Suite("Guides")
struct GuideTests {
  private static let catalogue = Fixtures.root.deletingLastPathComponent()
    .appending(path: "Sources/LeanKCommands/LeanK.docc")

  /// Lines after `$ ` in blocks fenced as console.
  private func commands(in guide: String) throws -> [[String]] {
    let file =
      guide == "README"
      ? Fixtures.root.deletingLastPathComponent().appending(path: "README.md")
      : Self.catalogue.appending(path: guide + ".md")
    let text = try String(contentsOf: file, encoding: .utf8)
    var isInside = false
    var commands: [[String]] = []
    for line in text.split(separator: "\n") {
      if line.hasPrefix("```") { isInside = line == "```console" }
      if isInside, line.hasPrefix("$ leank ") {
        commands.append(line.dropFirst(8).split(separator: " ").map(String.init))
      }
    }
    return commands
  }

  @Test(
    "every command works as written",
    arguments: [
      "README", "QuickStart", "OwnCheckpoint", "MasksFromScores", "ReadingAReport",
      "WritingARuntime",
    ])
  func run(guide: String) throws {
    let directory = try TemporaryDirectory()
    let root = Fixtures.root.deletingLastPathComponent()
    let commands = try commands(in: guide)
    try #require(!commands.isEmpty)
    for command in commands {
      try leank(
        expecting: 0,
        command.map { word in
          if word.hasPrefix("out/") { return directory.path(String(word.dropFirst(4))) }
          return word.hasPrefix("Fixtures/") ? root.appending(path: word).path : word
        })
    }
  }

  @Test("the landing page links every guide")
  func links() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.catalogue.path)
      .filter { $0.hasSuffix(".md") && $0 != "LeanK.md" }
    let landing = try String(
      contentsOf: Self.catalogue.appending(path: "LeanK.md"), encoding: .utf8)
    #expect(names.count == 6)
    for name in names { #expect(landing.contains("<doc:\(name.dropLast(3))>"), "\(name)") }
  }
}
