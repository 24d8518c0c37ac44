/// The text of tokens as they come: valid UTF-8 only, so that half a character is held back until
/// the rest of it is there, and special tokens left out unless told otherwise.
///
/// What it gives in all is what `Tokenizer.decode` makes of all tokens at once.
public struct TextStream: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecialTokens: Bool
  private var decoder: TokenDecoder

  public init(_ tokenizer: Tokenizer, skippingSpecialTokens: Bool = true) {
    self.tokenizer = tokenizer
    skipsSpecialTokens = skippingSpecialTokens
    decoder = TokenDecoder(tokenizer.decoders)
  }

  /// What the token adds to the text, often nothing yet. An id that names no token adds nothing:
  /// models have more logits than tokens.
  public mutating func append(_ id: Int) throws(TokenizerError) -> String {
    String(decoding: try bytes(appending: id), as: UTF8.self)
  }

  /// What was held back, now that no token follows.
  public mutating func finish() throws(TokenizerError) -> String {
    String(decoding: try lastBytes(), as: UTF8.self)
  }

  mutating func bytes(appending id: Int) throws(TokenizerError) -> [UInt8] {
    guard let token = tokenizer.bytes(of: id), !(skipsSpecialTokens && tokenizer.isSpecial(id))
    else {
      return []
    }
    return try decoder.append(token)
  }

  mutating func lastBytes() throws(TokenizerError) -> [UInt8] { try decoder.finish() }
}
