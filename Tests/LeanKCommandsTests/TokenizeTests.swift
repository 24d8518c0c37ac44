import Foundation
import StrictJSON
import TestSupport
import Testing

@Suite("leank tokenize")
struct TokenizeTests {
  /// A directory with one of the small tokenizers.
  private func model(_ name: String, in directory: TemporaryDirectory) throws -> String {
    try directory.write(try Fixtures.bytes("Tokenizers/\(name).json"), to: "\(name)/tokenizer.json")
    return directory.path(name)
  }

  private func parsed(_ text: String) throws -> JSONValue {
    try JSONDocument(Array(text.utf8), valueLimit: 1 << 20, combiningLimit: .max).root
  }

  private func integers(_ value: JSONValue?) throws -> [Int] {
    try #require(value).values.map { try #require($0.integer) }
  }

  @Test(
    "batches are what Hugging Face's library makes of them", arguments: ["llama3", "gemma", "han"])
  func batch(name: String) throws {
    let directory = try TemporaryDirectory()
    let model = try model(name, in: directory)
    let texts = Fixtures.path("Tokenizers/texts.json")
    let cases = try parsed(
      String(decoding: try Fixtures.bytes("Tokenizers/\(name).cases.json"), as: UTF8.self))
    func lists(_ arguments: [String]) throws -> [[Int]] {
      try parsed(leank(expecting: 0, ["tokenize", model] + arguments).output).values.map(integers)
    }
    let ids = try #require(cases["ids"]).values.map(integers)
    #expect(try lists(["--batch", texts, "--json"]) == ids)
    let plain =
      cases["plain"]?.isNull == true ? ids : try #require(cases["plain"]).values.map(integers)
    #expect(try lists(["--batch", texts, "--json", "--no-special"]) == plain)
    let file = try directory.write(Array("\(ids)".utf8), to: "ids.json")
    let decoded = try leank(
      expecting: 0, ["tokenize", model, "--decode", "--batch", file, "--json"])
    let found = try parsed(decoded.output).values.map { try #require($0.string) }
    let expected = try #require(cases["decoded"]).values.map { try #require($0.string) }
    #expect(found.map { Array($0.utf8) } == expected.map { Array($0.utf8) })
  }

  @Test("one text, in every way it is given and printed")
  func single() throws {
    let directory = try TemporaryDirectory()
    let model = try model("llama3", in: directory)
    let line = try leank(expecting: 0, ["tokenize", model, "The key is 4821."]).output
    let ids = line.split(separator: " ").compactMap { Int($0.trimmingCharacters(in: .newlines)) }
    #expect(ids.first == 1 && ids.count > 3)
    let file = try directory.write(Array("The key is 4821.".utf8), to: "text.txt")
    #expect(try leank(expecting: 0, ["tokenize", model, "--file", file]).output == line)
    let json = try parsed(
      leank(expecting: 0, ["tokenize", model, "--json", "The key is 4821."]).output)
    #expect(try integers(json["ids"]) == ids)
    #expect(json["tokens"]?.values.first { _ in true }?.string == "<s>")
    let text = ids.map(String.init).joined(separator: ", ")
    #expect(
      try leank(expecting: 0, ["tokenize", model, "--decode", text]).output
        == "<s>The key is 4821.\n")
    #expect(
      try leank(expecting: 0, ["tokenize", model, "--decode", "--no-special", text]).output
        == "The key is 4821.\n")
    let list = try directory.write(Array("\(ids)".utf8), to: "ids.json")
    let decoded = try leank(
      expecting: 0, ["tokenize", model, "--decode", "--json", "--file", list])
    #expect(try parsed(decoded.output)["text"]?.string == "<s>The key is 4821.")
    let batch = try directory.write(Array(#"["The key is 4821.", "a"]"#.utf8), to: "batch.json")
    let lines = try leank(expecting: 0, ["tokenize", model, "--batch", batch]).output
    #expect(lines.hasPrefix(line) && lines.split(separator: "\n").count == 2)
    let empty = try directory.write(Array("[]".utf8), to: "empty.json")
    #expect(try leank(expecting: 0, ["tokenize", model, "--batch", empty]).output == "")
  }

  @Test("the bundled model's tokenizer reads its own questions")
  func bundled() throws {
    let model = Fixtures.path("Models/leank-tiny")
    let text = "Question: What is the key of amber-bridge? Answer:"
    let ids = try leank(expecting: 0, ["tokenize", model, "--no-special", text]).output
    #expect(
      try leank(expecting: 0, ["tokenize", model, "--decode", ids]).output == text + "\n")
  }

  @Test("refusals have the exit code of their kind")
  func refusals() throws {
    let directory = try TemporaryDirectory()
    let model = try model("gpt2", in: directory)
    func write(_ text: String) throws -> String {
      try directory.write(Array(text.utf8), to: "\(UUID().uuidString).json")
    }
    for (code, arguments) in [
      (2, []), (2, ["x", "--file", "y"]), (2, ["--decode", "1 x"]),
      (3, ["--decode", "99999"]), (3, ["--batch", try write("{}")]),
      (3, ["--batch", try write("[1]")]),
      (3, ["--decode", "--batch", try write("[[1], 2]")]),
      (3, ["--decode", "--batch", try write("[[1.5]]")]),
      (3, ["--file", try directory.write([0xFF], to: "latin.txt")]),
      (6, ["--file", directory.path("none")]),
    ] as [(CInt, [String])] {
      try leank(expecting: code, ["tokenize", model] + arguments)
    }
    try leank(expecting: 6, ["tokenize", directory.path, "x"])
    try directory.write(
      Array(#"{"model": {"type": "Unigram", "vocab": []}}"#.utf8), to: "tokenizer.json")
    let run = try leank(expecting: 4, ["tokenize", directory.path, "x"])
    #expect(run.diagnostics.contains("\"Unigram\""))
  }
}
