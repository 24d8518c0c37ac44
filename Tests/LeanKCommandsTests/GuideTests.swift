import ByteIO
import Foundation
import LeanKTokenizer
import TestSupport
import Testing

/// The README's and the guides' own commands, run in the guides' order.
@Suite("Guides")
struct GuideTests {
  private static let root = Fixtures.root.deletingLastPathComponent()
  private static let catalogue = root.appending(path: "Sources/LeanKCommands/LeanK.docc")

  /// Output of the main job, which `.ci/run` runs; times and paths in it differ from run to run.
  private static let shownOutput = "$ leank convert --model leank-tiny --mask"
  /// Output of `.ci/real-model`, whose commands a test compares.
  private static let realOutput = "$ leank inspect SmolLM2-135M-Instruct"
  /// Needs root and a rebuild with other flags; too much to do on each change.
  private static let install = ".ci/setup                                   # libzstd"

  /// What follows a command that finds a difference.
  private static let orDifferent = " || echo different"

  /// README.md and the guides of the catalogue, without `.md`.
  private static func guides() throws -> [String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: catalogue.path)
    return ["README"] + names.filter { $0.hasSuffix(".md") }.map { String($0.dropLast(3)) }.sorted()
  }

  /// A fenced block, its fence's word, and the line above the fence.
  private struct Block {
    var language: String
    var lead: String
    var lines: [String] = []
  }

  private static func blocks(in guide: String) throws -> [Block] {
    let file = (guide == "README" ? root : catalogue).appending(path: guide + ".md")
    let text = try String(contentsOf: file, encoding: .utf8)
    var (blocks, lead): ([Block], String) = ([], "")
    var open: Block?
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
      if line.trimmingPrefix(while: \.isWhitespace).hasPrefix("```") {
        if let block = open {
          blocks.append(block)
          open = nil
        } else {
          let word = line.trimmingPrefix(while: \.isWhitespace).dropFirst(3)
          open = Block(language: String(word), lead: lead)
        }
      } else {
        open?.lines.append(line)
      }
      lead = line
    }
    try #require(open == nil, "\(guide) ends inside a block")
    return blocks
  }

  @Test("every command works as written", arguments: try guides())
  func run(guide: String) throws {
    let directory = try TemporaryDirectory()
    for block in try Self.blocks(in: guide) where block.language == "console" {
      for line in block.lines {
        if line == "$ mkdir -p out" {
          try FileManager.default.createDirectory(
            atPath: directory.path("out"), withIntermediateDirectories: true)
          continue
        }
        try #require(line.hasPrefix("$ leank "), "\(guide): \(line)")
        let command = line.dropFirst(8)
        let differs = command.hasSuffix(Self.orDifferent)
        let words = command.dropLast(differs ? Self.orDifferent.count : 0).split(separator: " ")
          .map(String.init)
        try leank(
          expecting: differs ? 1 : 0,
          words.map { word in
            if word.hasPrefix("out/") { return directory.path(word) }
            return word.hasPrefix("Fixtures/") ? Self.root.appending(path: word).path : word
          })
      }
    }
  }

  /// `console` is run by the test above, `swift` is a file of this target, `python` is run by the
  /// tests of the Python package, and what stands under a marker is run by `.ci/run`.
  @Test("no block is left that nothing runs", arguments: try guides())
  func everyBlock(guide: String) throws {
    let script = try String(contentsOf: Self.root.appending(path: ".ci/run"), encoding: .utf8)
    for block in try Self.blocks(in: guide) where block.language != "console" {
      let text = block.lines.joined(separator: "\n") + "\n"
      if block.language == "swift" {
        let snippet = Self.root.appending(path: "Tests/LeanKCommandsTests/Snippets/\(guide).swift")
        #expect(try String(contentsOf: snippet, encoding: .utf8) == text, "\(guide)")
      } else if block.language == "python" {
        let test = Self.root.appending(path: "Tests/LeanKTransformersTests/test_guide.py")
        #expect(try String(contentsOf: test, encoding: .utf8).contains("\"\(guide).md\""))
      } else if block.lead.hasPrefix("<!-- ") {
        let job = block.lead.dropFirst(5).dropLast(4)
        #expect(script.contains("\"\(job)\"") || script.contains(" \(job) "), "\(job)")
      } else {
        let isKnown = [Self.shownOutput, Self.realOutput, Self.install]
          .contains { text.hasPrefix($0) }
        #expect(guide == "README" && isKnown, "nothing runs this block of \(guide):\n\(text)")
      }
    }
  }

  @Test("the README shows the real model's commands as .ci/real-model runs them")
  func realModel() throws {
    let text = try String(contentsOf: Self.root.appending(path: ".ci/real-model"), encoding: .utf8)
    let names = [
      "$model": "SmolLM2-135M-Instruct", "$mask": "windowed_mask_r0.7_align16.leank",
      "$pruned": "SmolLM2-135M-cache", "$prompt": "prompt.txt", "$output/": "",
    ]
    let commands = text.split(separator: "\n").filter { $0.hasPrefix("run ") }.map { line in
      names.reduce(line.dropFirst(4).replacing("\"", with: "")) {
        $0.replacing($1.key, with: $1.value)
      }
    }
    #expect(commands.count == 6)
    let block = try #require(
      try Self.blocks(in: "README").first { $0.lines.first?.hasPrefix(Self.realOutput) == true })
    let shown = block.lines.filter { $0.hasPrefix("$ leank ") }.map { $0.dropFirst(8) }
    #expect(shown.map(String.init) == commands.map { String($0) })
  }

  @Test("the README's picture is what inspect draws")
  func picture() throws {
    let directory = try TemporaryDirectory()
    let mask = Fixtures.path("Masks/smollm2/windowed_mask_r0.7_align16.leank")
    let path = directory.path("mask.svg")
    try leank(expecting: 0, ["inspect", mask, "--heatmap", path])
    let drawn = try Data(contentsOf: URL(filePath: path))
    #expect([UInt8](drawn) == (try Fixtures.bytes("Reports/smollm2.svg")))
    let readme = try String(contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
    #expect(readme.contains("](Fixtures/Reports/smollm2.svg)"))
  }

  @Test("the library examples do what they say")
  func snippets() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path("mask.leank")
    try leank(
      expecting: 0,
      [
        "import", Fixtures.path("Masks/leank-tiny/static_pairs_mask_r0.5_align16.npy"),
        "--output", path,
      ])
    let before = try summary(of: path)
    #expect(before.split(separator: "\n").count == 5)
    #expect(before.split(separator: "\n")[0].hasSuffix(" 0.5 0"))

    let data = try Data(contentsOf: URL(filePath: path))
    try Data(dropLayer(2, in: [UInt8](data))).write(to: URL(filePath: path))
    let after = try summary(of: path).split(separator: "\n")
    #expect(after.count == 5)
    #expect(after[0].hasSuffix(" 2"))
    #expect(after[3] == "2 [0, 0] [0, 0]")

    let model = Fixtures.path("Models/leank-tiny")
    let tokenizer = try Tokenizer(directory: try DirectoryHandle(path: model))
    var script = try tokenizer.encode(" The key of amber-bridge is 4821.") + [0, 1, 2]
    let answer = try continuation(of: "Question:", in: model) { _ in script.removeFirst() }
    #expect(answer == " The key of amber-bridge is 4821.")
    #expect(script == [1, 2])
  }

  @Test("the landing page links every guide")
  func links() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.catalogue.path)
      .filter { $0.hasSuffix(".md") && $0 != "LeanK.md" }
    let landing = try String(
      contentsOf: Self.catalogue.appending(path: "LeanK.md"), encoding: .utf8)
    #expect(names.count == 9)
    for name in names { #expect(landing.contains("<doc:\(name.dropLast(3))>"), "\(name)") }
  }
}
