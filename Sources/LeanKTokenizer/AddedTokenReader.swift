import ByteIO

/// Reads the `added_tokens` of a tokenizer's file.
enum AddedTokenReader {
  static func read(
    _ root: FilePart, beside vocabulary: Vocabulary
  ) throws(TokenizerError) -> [AddedToken] {
    guard root.member("added_tokens") != nil else { return [] }
    var tokens: [AddedToken] = []
    var ids: [[UInt8]: Int] = [:]
    var largest: Int?
    for part in try root.parts("added_tokens", limit: AddedTokenFinder.countLimit) {
      guard let content = try part.text("content", limit: AddedTokenFinder.contentLimit) else {
        throw part.error(.missingKey, "the key is missing", at: "content")
      }
      // the reference passes over these
      guard !content.isEmpty else { continue }
      let bytes = Array(content.utf8)
      let id = try part.integer("id", limit: Vocabulary.idLimit - 1)
      // The reference gives ids itself: that of the vocabulary, else the next one.
      let next = max(vocabulary.count, (largest ?? -1) + 1)
      let given = ids[bytes] ?? vocabulary.id(of: bytes.span) ?? next
      guard id == given else {
        throw part.error(
          .inconsistent, "\(quoted(content)) says id \(id), where it would get \(given)", at: "id")
      }
      ids[bytes] = id
      largest = max(largest ?? 0, id)
      var token = AddedToken(id: id, content: content)
      token.isSingleWord = try part.bool("single_word")
      token.stripsLeft = try part.bool("lstrip")
      token.stripsRight = try part.bool("rstrip")
      token.isNormalized = try part.bool("normalized")
      token.isSpecial = try part.bool("special")
      tokens.append(token)
    }
    return tokens
  }

  /// How each token is spelled where it is looked for.
  static func texts(
    of tokens: [AddedToken], _ normalizers: [Normalizer], in root: FilePart
  ) throws(TokenizerError) -> [[UInt8]] {
    var texts: [[UInt8]] = []
    var workspace = Workspace()
    let total = tokens.reduce(0) { $0 + $1.content.utf8.count }
    workspace.machine.budget = PatternMachine.budget(bytes: total)
    var rest = AddedTokenFinder.byteLimit
    for token in tokens {
      var text = Array(token.content.utf8)
      if token.isNormalized {
        do throws(TokenizerError) {
          text = try Normalizer.apply(normalizers, to: text, &workspace)
        } catch {
          throw root.error(error.code, error.detail, at: "added_tokens")
        }
      }
      guard !text.isEmpty else {
        throw root.error(
          .unsupportedPart, "the added token \(quoted(token.content)) is nothing once normalized",
          at: "added_tokens")
      }
      rest -= text.count
      guard rest >= 0, text.count <= AddedTokenFinder.contentLimit else {
        throw root.error(
          .tooLarge,
          "added tokens of more than \(AddedTokenFinder.byteLimit) bytes, or one of more than \(AddedTokenFinder.contentLimit), once normalized",
          at: "added_tokens")
      }
      texts.append(text)
    }
    return texts
  }
}
