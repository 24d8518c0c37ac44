import ByteIO

/// A byte-pair encoding: a vocabulary, its merges, and what happens to characters that it lacks.
struct BytePairModel: Sendable {
  var vocabulary: Vocabulary
  var merges: MergeTable
  /// The token for what the vocabulary lacks; it may be missing from the vocabulary itself.
  var unknown: Unknown?
  /// Whether several unknown characters in a row become one token.
  var fusesUnknown = false
  /// Ids of the tokens `<0x00>` to `<0xFF>` for characters that the vocabulary lacks; nil where
  /// they are not used so.
  var byteTokens: [Int?]?
  /// Whether a word that is a token is one, whatever the merges say.
  var ignoresMerges = false

  struct Unknown: Sendable {
    var token: String
    var id: Int?
  }

  /// Ids of the tokens of one scalar below 0x10000, which nearly all words begin as; `.max` where
  /// there is none.
  private let scalarIDs: [UInt32]

  init(vocabulary: Vocabulary, merges: MergeTable) {
    self.vocabulary = vocabulary
    self.merges = merges
    var ids = [UInt32](repeating: .max, count: 0x10000)
    for id in 0..<vocabulary.idBound {
      guard let token = vocabulary.token(id), let first = token.first, token.count <= 3 else {
        continue
      }
      let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : 3
      guard token.count == length else { continue }
      let bytes = Array(token)
      ids[Int(PatternMachine.scalar(in: bytes.span, at: 0).value)] = UInt32(id)
    }
    scalarIDs = ids
  }

  /// The ids of `word`, appended to `ids`.
  func encode(
    _ word: Span<UInt8>, into ids: inout [Int], with merger: inout BytePairMerger
  ) throws(TokenizerError) {
    if ignoresMerges, let id = vocabulary.id(of: word) {
      ids.append(id)
      return
    }
    merger.begin()
    var pending: Int?
    var position = 0
    while position < word.count {
      let (value, length) = PatternMachine.scalar(in: word, at: position)
      let range = position..<position + length
      position += length
      if let id = id(of: value, range, in: word) {
        if let unknown = pending { merger.append(unknown) }
        pending = nil
        merger.append(id)
      } else if !appendBytes(range, of: word, to: &merger), let unknown {
        // an unknown token is held back, in case that another one fuses with it
        if let held = pending, !fusesUnknown { merger.append(held) }
        guard let id = unknown.id else {
          let text = String(decoding: word.copy(range), as: UTF8.self)
          throw TokenizerError(
            .unknownText,
            "no token for \(quoted(text)), and none for the unknown: \(quoted(unknown.token)) is not in the vocabulary"
          )
        }
        pending = id
      }
    }
    if let unknown = pending { merger.append(unknown) }
    merger.merge(merges, into: &ids)
  }

  private func id(of value: UInt32, _ range: Range<Int>, in word: Span<UInt8>) -> Int? {
    guard value < 0x10000 else { return vocabulary.id(of: word.extracting(range)) }
    let id = scalarIDs[Int(value)]
    return id == .max ? nil : Int(id)
  }

  /// Appends a character as its bytes, if all of them have tokens.
  private func appendBytes(
    _ range: Range<Int>, of word: Span<UInt8>, to merger: inout BytePairMerger
  ) -> Bool {
    guard let byteTokens else { return false }
    for index in range where byteTokens[Int(word[index])] == nil { return false }
    for index in range { if let id = byteTokens[Int(word[index])] { merger.append(id) } }
    return true
  }
}
