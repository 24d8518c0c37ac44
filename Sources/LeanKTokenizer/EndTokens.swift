public import ByteIO
import StrictJSON

/// The tokens at which a model has said what it had to say.
public struct EndTokens: Sendable, Hashable {
  /// Ascending, none twice; empty where the model names none.
  public let ids: [Int]

  public func contains(_ id: Int) -> Bool { ids.contains(id) }

  /// Reads `eos_token_id`, an integer or a list of them, from `generation_config.json`; where that
  /// has none, or is not there, from `config.json`.
  public init(directory: DirectoryHandle) throws(TokenizerError) {
    for name in ["generation_config.json", "config.json"] {
      let file: PositionalFile
      let bytes: [UInt8]
      do throws(FileError) {
        guard try directory.kind(of: name) != nil else { continue }
        file = try PositionalFile(name: name, in: directory)
        bytes = try file.contents(limit: ChatTemplate.configurationLimit)
        try file.checkUnchanged()
      } catch {
        throw TokenizerError(error)
      }
      if let ids = try Self.ids(bytes, path: file.path) {
        self.ids = ids
        return
      }
    }
    ids = []
  }

  /// The ids that a configuration names, nil where it names none. A multimodal model's are those of
  /// its language model.
  static func ids(_ bytes: [UInt8], path: String) throws(TokenizerError) -> [Int]? {
    let root: JSONValue
    do throws(JSONError) {
      root = try JSONDocument(bytes, path: path).root
    } catch {
      throw TokenizerError(error)
    }
    let part = try FilePart(root, "", path: path)
    guard let member = part.member("eos_token_id") else {
      guard let text = try part.part("text_config") else { return nil }
      return try text.member("eos_token_id").map { value throws(TokenizerError) in
        try list(value, text)
      }
    }
    return try list(member, part)
  }

  private static func list(_ value: JSONValue, _ part: FilePart) throws(TokenizerError) -> [Int] {
    let values = value.kind == .array ? Array(value.values.prefix(1025)) : [value]
    let ids = values.compactMap(\.integer)
    guard ids.count == values.count, ids.count <= 1024, ids.allSatisfy({ $0 >= 0 }) else {
      throw part.error(
        .wrongType, "expected a token id or a list of them, found another value",
        at: "eos_token_id")
    }
    return Array(Set(ids)).sorted()
  }
}
