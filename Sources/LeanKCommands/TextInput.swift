import ByteIO
import LeanKTokenizer

/// Text that a command is given in a file.
enum TextInput {
  /// The text at `path`, `-` for standard input. Fails on what is not UTF-8.
  static func read(_ path: String) throws -> String {
    let bytes = try readFile(path, limit: Tokenizer.textLimit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CommandError(.malformed, "\(escaped(path, limit: 4096)): the text is not UTF-8")
    }
    return text
  }
}
