import Testing

/// What `--help` says of each command, at the 80 columns of a terminal.
@Suite("Help")
struct HelpTests {
  private static func commands() -> [String] {
    let lines = leank("--help").output.split(separator: "\n", omittingEmptySubsequences: false)
    let list = lines.drop { $0 != "SUBCOMMANDS:" }.dropFirst().prefix { !$0.isEmpty }
    return list.filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
      .compactMap { $0.split(separator: " ").first.map(String.init) }
  }

  private static func help(_ command: String) -> [Substring] {
    CommandRun([command, "--help"]).output.split(separator: "\n", omittingEmptySubsequences: false)
  }

  @Test("paragraphs are broken where lines are full and nowhere else", arguments: commands() + [""])
  func paragraphs(command: String) {
    let lines =
      command.isEmpty
      ? leank("--help").output.split(separator: "\n", omittingEmptySubsequences: false)
      : Self.help(command)
    let text = lines.prefix { !$0.hasPrefix("USAGE:") }
    #expect(!text.isEmpty)
    for (line, next) in zip(text, text.dropFirst()) {
      #expect(line.count <= 80, "\(line)")
      let isHeading = !line.isEmpty && line.allSatisfy { $0.isUppercase || $0 == " " }
      guard !line.isEmpty, !next.isEmpty, !isHeading else { continue }
      // Examples begin with two spaces; a line of one that was too long does not.
      if line.hasPrefix("  ") {
        #expect(next.hasPrefix("  "), "\(line)")
        continue
      }
      let word = next.prefix { $0 != " " }
      #expect(line.count + 1 + word.count >= 80, "\(line)")
    }
  }

  @Test("every option says its default once, unless it is required", arguments: commands())
  func defaults(command: String) throws {
    let lines = Self.help(command)
    let usage = lines.drop { !$0.hasPrefix("USAGE:") }.prefix { !$0.isEmpty }.joined(separator: " ")
    var blocks: [String] = []
    for line in lines.drop(while: { $0 != "OPTIONS:" }).dropFirst().prefix(while: { !$0.isEmpty }) {
      if line.hasPrefix("  -") {
        blocks.append(String(line))
      } else {
        blocks[blocks.count - 1] += " " + line.trimmingPrefix { $0 == " " }
      }
    }
    #expect(blocks.count >= 2)
    for block in blocks {
      let parts = block.split(separator: " ")
      guard parts.count > 1, parts[1].hasPrefix("<") else { continue }
      let isRequired = usage.contains(" \(parts[0]) <") && !usage.contains("[\(parts[0]) <")
      let count = block.ranges(of: "default: ").count
      #expect(count == (isRequired ? 0 : 1), "\(command) \(block)")
    }
  }
}
