import ArgumentParser
import ByteIO
import LeanKTokenizer
import StrictJSON

/// `leank tokenize`
struct TokenizeCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Turn text into the token ids of a model, and back.",
    discussion: """
      Computes what the model's own tokenizer.json says: byte-pair encodings with everything around \
      them. What leank does not compute is refused by name.

      EXAMPLE
        leank tokenize Llama-3.1-8B "What is the key?"
        leank tokenize Llama-3.1-8B --decode "3923 374 279 1401 30"
        leank tokenize Llama-3.1-8B --batch texts.json --json > ids.json
      """)

  @Argument(help: "The model's directory.")
  var directory: String

  @Argument(help: "A text; with --decode, token ids with spaces or commas between them.")
  var text: String?

  @Option(
    help:
      "A text file, - for standard input; with --decode, ids as verify --tokens has them (default: none)."
  )
  var file: String?

  @Option(
    help: "A JSON file: a list of texts; with --decode, a list of lists of ids (default: none).")
  var batch: String?

  @Flag(help: "From ids to text. Special tokens are kept.")
  var decode = false

  @Flag(
    help: "Without the special tokens that go around a text; with --decode, without all of them.")
  var noSpecial = false

  @Flag(help: "Print ids and tokens, or the text, as JSON; with --batch, the list of results.")
  var json = false

  func validate() throws {
    guard [text, file, batch].compactMap({ $0 }).count == 1 else {
      throw ValidationError("give a text, --file or --batch")
    }
  }

  func run(on console: Console) throws -> CInt {
    let tokenizer = try Tokenizer(directory: try DirectoryHandle(path: directory))
    if decode {
      try printTexts(tokenizer, on: console)
    } else {
      try printIDs(tokenizer, on: console)
    }
    return LeankExit.success
  }

  private func printIDs(_ tokenizer: Tokenizer, on console: Console) throws {
    var encoder = TextEncoder(tokenizer)
    guard let batch else {
      let ids = try encoder.encode(try singleText(), addingSpecialTokens: !noSpecial)
      if json {
        let tokens = ids.map { tokenizer.token($0) ?? "" }
        try console.print(json: EncodedText(ids: ids, tokens: tokens))
      } else {
        try console.print(Self.line(ids))
      }
      return
    }
    var results: [[Int]] = []
    for (index, value) in try list(in: batch).values.enumerated() {
      guard let text = value.string else {
        throw Self.malformed(batch, "entry \(index) is no text")
      }
      results.append(try encoder.encode(text, addingSpecialTokens: !noSpecial))
    }
    if json {
      try console.print(json: results)
    } else if !results.isEmpty {
      try console.print(results.map(Self.line).joined(separator: "\n"))
    }
  }

  private func printTexts(_ tokenizer: Tokenizer, on console: Console) throws {
    func text(_ ids: [Int]) throws(TokenizerError) -> String {
      try tokenizer.decode(ids, skippingSpecialTokens: noSpecial)
    }
    guard let batch else {
      let decoded = try text(try singleIDs())
      if json {
        try console.print(json: DecodedIDs(text: decoded))
      } else {
        try console.print(decoded)
      }
      return
    }
    var results: [String] = []
    for (index, value) in try list(in: batch).values.enumerated() {
      let ids = value.values.map(\.integer)
      guard value.kind == .array, !ids.contains(nil) else {
        throw Self.malformed(batch, "entry \(index) is no list of token ids")
      }
      results.append(try text(ids.compactMap { $0 }))
    }
    if json {
      try console.print(json: results)
    } else if !results.isEmpty {
      try console.print(results.joined(separator: "\n"))
    }
  }

  private func singleText() throws -> String { try text ?? TextInput.read(file ?? "-") }

  private func singleIDs() throws -> [Int] {
    guard let text else { return try TokenInput.read(file ?? "-") }
    let separators = Array(" ,\t\r\n".utf8)
    return try text.utf8.split(whereSeparator: separators.contains).map { bytes in
      let word = String(decoding: bytes, as: UTF8.self)
      guard let id = Int(word) else {
        throw UsageError("\(quoted(word)) is no token id, they are integers")
      }
      return id
    }
  }

  /// The list that a JSON file consists of.
  private func list(in path: String) throws -> JSONValue {
    let bytes = try readFile(path, limit: TokenInput.fileLimit)
    // texts are read as bytes, however many marks they pile up
    let root = try JSONDocument(
      bytes, path: path, valueLimit: TokenInput.tokenLimit, combiningLimit: .max
    ).root
    guard root.kind == .array else {
      throw Self.malformed(path, "expected a list, found \(root.kind.rawValue)")
    }
    return root
  }

  private static func line(_ ids: [Int]) -> String {
    ids.map(String.init).joined(separator: " ")
  }

  private static func malformed(_ path: String, _ text: String) -> CommandError {
    CommandError(.malformed, "\(escaped(path, limit: 4096)): \(text)")
  }
}

/// A text's ids and tokens; the property names are the keys of `--json`.
private struct EncodedText: Encodable {
  var ids: [Int]
  /// In the alphabet of the model, as its file has them.
  var tokens: [String]
}

private struct DecodedIDs: Encodable {
  var text: String
}
