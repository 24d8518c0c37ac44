import ByteIO
import StrictJSON
import TestSupport
import Testing

@testable import LeanKTokenizer

@Suite("Patterns, beside Oniguruma")
struct PatternTests {
  /// What `pattern` splits `text` into, matches and what lies between.
  private func splits(_ pattern: String, _ text: String) throws -> [String] {
    var pieces = Pieces(Array(text.utf8), beginsText: true)
    var machine = PatternMachine(budget: PatternMachine.budget(bytes: text.utf8.count))
    try pieces.split(try TextPattern(expression: pattern), .isolated, with: &machine)
    return pieces.list.map { String(decoding: pieces.bytes[$0.range], as: UTF8.self) }
  }

  @Test("classes contain the scalars that they contain there, as far as Unicode 14 assigns them")
  func classes() throws {
    let root = try Pipeline.json("classes.json")
    var assigned: [UInt32] = []
    for range in try #require(root["assigned"]).values {
      let bounds = range.values.compactMap(\.integer).map(UInt32.init)
      assigned += Array(bounds[0]...bounds[1])
    }
    let classes = try #require(root["classes"]).children.map { $0 }
    try #require(classes.count > 40 && assigned.count > 140_000)
    for (name, expected) in classes {
      guard case .scalar(let scalars) = try Self.single(name) else {
        Issue.record("\(name) is no class")
        continue
      }
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      var count = 0
      for value in assigned {
        let isMember = scalars.contains(value)
        count += isMember ? 1 : 0
        hash = (hash ^ (isMember ? 1 : 0)) &* 0x100_0000_01b3
      }
      #expect(count == expected["count"]?.integer, "\(name)")
      #expect(
        String(hash, radix: 16) == expected["hash"]?.string.map { Self.trimmed($0) }, "\(name)")
    }
  }

  private static func trimmed(_ digits: String) -> String { String(digits.drop { $0 == "0" }) }

  private static func single(_ pattern: String) throws -> PatternNode {
    guard case .sequence(let parts) = try PatternParser.parse(pattern), parts.count == 1 else {
      return .sequence([])
    }
    if case .sequence(let inner) = parts[0], inner.count == 1 { return inner[0] }
    return parts[0]
  }

  @Test func splitsOfEveryConstruct() throws {
    let root = try Pipeline.json("patterns.json")
    let texts = try Pipeline.strings(root["texts"])
    let patterns = try #require(root["patterns"]).values.map { $0 }
    try #require(patterns.count > 30)
    for entry in patterns {
      let pattern = try #require(entry["pattern"]?.string)
      let rows = try #require(entry["splits"]).values.map { try Pipeline.strings($0) }
      for (text, row) in zip(texts, rows) {
        #expect(
          try splits(pattern, text).map { Array($0.utf8) } == row.map { Array($0.utf8) },
          "\(pattern) \(text.debugDescription)")
      }
    }
  }

  @Test(
    "what is not known, or known to differ, is refused by name",
    arguments: [
      #"\h"#, #"\R"#, #"\X"#, #"\G"#, #"\K"#, #"\Z"#, #"(a)\1"#, #"\p{Greek}"#, #"\pL"#, "(?m:a)",
      "(?<n>a)", "(?#c)a", "a(?i)b", "(?i:ß)", "(?i:st)", #"(?i:\p{Lu})"#, "(?i:[^a])",
      "(?i:[à-ö])",
      "a{2}?", "a{0,2}+", "a**", "(a*)*", "(?:a|b?)+", "a*", "(?=a)", "[[:alpha:]]", "[]a]", "a{x}",
      "{1}", "a+{2}",
      #"[\d-x]"#, #"[a-\d]"#, "(?<=a+)b", "(?~a)",
    ])
  func unsupported(pattern: String) {
    #expect(throws: TokenizerError(.unsupportedPattern, "")) { try splits(pattern, "a") }
  }

  @Test(
    "what is no pattern is refused",
    arguments: [
      "(a", "a)", "[a", "*a", "a|+", "[b-a]", "a{2,1}", #"a\"#, #"\x{110000}"#, #"\xZZ"#, #"\x{41"#,
      #"\u12"#, #"\p{L"#, #"\xE9"#, #"\x-1"#,
    ])
  func malformed(pattern: String) {
    #expect(throws: TokenizerError(.patternSyntax, "")) { try splits(pattern, "a") }
  }

  @Test(
    "patterns that are too large are refused before they are built",
    arguments: [
      String(repeating: "(", count: 100_000), String(repeating: "[", count: 40),
      "a{1001}", "((((a{1000}){1000}){1000}){1000}){1000}b", "(?:(?:ab){1000}c){10}",
      "[" + (0..<5000).map { "\\x{" + String(0x1000 + 2 * $0, radix: 16) + "}" }.joined() + "]",
    ])
  func large(pattern: String) {
    #expect {
      try splits(pattern, "a")
    } throws: {
      let code = ($0 as? TokenizerError)?.code
      return code == .tooLarge || code == .unsupportedPattern
    }
  }

  @Test(
    "patterns that would take for ever stop", arguments: ["(?:a+)+b", "(?:a|aa)+$", "(?:a?a)+b"])
  func steps(pattern: String) {
    #expect(throws: TokenizerError(.patternSteps, "")) {
      try splits(pattern, String(repeating: "a", count: 3000) + "c")
    }
  }

  @Test("the stack of alternatives has an end")
  func stack() {
    #expect(throws: TokenizerError(.patternSteps, "")) {
      try splits("(?:ab|c)+d", String(repeating: "ab", count: 1_100_000))
    }
  }
}
