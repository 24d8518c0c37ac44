/// Encodes texts one after the other and keeps the words that it has met.
public struct TextEncoder {
  private let tokenizer: Tokenizer
  private var workspace = Workspace()

  public init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// The ids of `text`; see `Tokenizer.encode`.
  public mutating func encode(
    _ text: String, addingSpecialTokens: Bool = true
  ) throws(TokenizerError) -> [Int] {
    let bytes = Array(text.utf8)
    guard bytes.count <= Tokenizer.textLimit else { throw Tokenizer.tooLong() }
    workspace.machine.budget = PatternMachine.budget(bytes: bytes.count)
    var ids = addingSpecialTokens ? tokenizer.postProcessor.before : []
    for stretch in tokenizer.literal.stretches(of: bytes.span) {
      if let token = stretch.token {
        ids.append(token.id)
        continue
      }
      let isWhole = stretch.range == 0..<bytes.count
      let piece = isWhole ? bytes : Array(bytes[stretch.range])
      try encodeBetween(piece, beginsText: stretch.range.lowerBound == 0, into: &ids)
    }
    if addingSpecialTokens { ids += tokenizer.postProcessor.behind }
    return ids
  }

  /// Encodes what lies between added tokens: normalizes it and looks for those that are found then.
  private mutating func encodeBetween(
    _ text: [UInt8], beginsText: Bool, into ids: inout [Int]
  ) throws(TokenizerError) {
    let text = try Normalizer.apply(tokenizer.normalizers, to: text, &workspace)
    guard !tokenizer.normalized.isEmpty else {
      try encodeWords(text, beginsText: beginsText, into: &ids)
      return
    }
    for stretch in tokenizer.normalized.stretches(of: text.span) {
      if let token = stretch.token {
        ids.append(token.id)
      } else {
        let begins = beginsText && stretch.range.lowerBound == 0
        try encodeWords(Array(text[stretch.range]), beginsText: begins, into: &ids)
      }
    }
  }

  private mutating func encodeWords(
    _ text: [UInt8], beginsText: Bool, into ids: inout [Int]
  ) throws(TokenizerError) {
    var pieces = Pieces(text, beginsText: beginsText)
    for step in tokenizer.preTokenizers {
      try step.apply(to: &pieces, with: &workspace.machine)
    }
    let bytes = pieces.bytes.span
    for piece in pieces.list where piece.start < piece.end {
      let word = bytes.extracting(piece.range)
      guard word.count <= WordCache.wordLimit else {
        try tokenizer.model.encode(word, into: &ids, with: &workspace.merger)
        continue
      }
      let hash = byteHash(word)
      guard !workspace.cache.append(word, hash: hash, to: &ids) else { continue }
      let first = ids.count
      try tokenizer.model.encode(word, into: &ids, with: &workspace.merger)
      workspace.cache.insert(word, hash: hash, ids: ids[first...])
    }
  }
}
