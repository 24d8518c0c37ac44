/// A step that cuts the text into the words that are encoded one by one.
enum PreTokenizer: Sendable {
  /// Bytes become characters of GPT-2's alphabet, after the text has been cut by `words`.
  case byteLevel(addsPrefixSpace: Bool, words: TextPattern?)
  case split(TextPattern, Pieces.Behavior, inverted: Bool)
  /// Spaces become `replacement`, and words begin with it.
  case metaspace(replacement: [UInt8], Prepending, splits: Bool)

  enum Prepending: String, Sendable { case always, first, never }

  /// Numbers, each on its own or as long as they are.
  static func digits(individual: Bool) -> PreTokenizer {
    let digit = PatternNode.scalar(ScalarClass(categories: GeneralCategories.mask("N")))
    return .split(.node(digit), individual ? .isolated : .contiguous, inverted: false)
  }

  static func punctuation(_ behavior: Pieces.Behavior) -> PreTokenizer {
    let ascii = ScalarClass(0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E)
    let all = ascii.union(ScalarClass(categories: GeneralCategories.mask("P")))
    return .split(.node(.scalar(all)), behavior, inverted: false)
  }

  /// Words, and everything else that is no space, as Rust's regular expressions tell them apart.
  static var whitespace: PreTokenizer {
    let word = ScalarClass.rustWord
    let other = word.union(.space).complement
    let run: (ScalarClass) -> PatternNode = {
      .repetition(.scalar($0), least: 1, most: nil, .greedy)
    }
    return .split(.node(.alternatives([run(word), run(other)])), .removed, inverted: true)
  }

  static var whitespaceSplit: PreTokenizer {
    .split(.node(.scalar(.space)), .removed, inverted: false)
  }

  func apply(
    to pieces: inout Pieces, with machine: inout PatternMachine
  ) throws(TokenizerError) {
    switch self {
    case .byteLevel(let addsPrefixSpace, let words):
      if addsPrefixSpace {
        pieces.rewrite { bytes, piece, text in
          if bytes[piece.start] != 0x20 { text.append(0x20) }
          for index in piece.range { text.append(bytes[index]) }
        }
      }
      if let words { try pieces.split(words, .isolated, with: &machine) }
      pieces.rewrite { ByteAlphabet.append($0, $1.range, to: &$2) }
    case .split(let pattern, let behavior, let inverted):
      try pieces.split(pattern, behavior, inverted: inverted, with: &machine)
    case .metaspace(let replacement, let prepending, let splits):
      pieces.rewrite { bytes, piece, text in
        let start = text.count
        for index in piece.range {
          if bytes[index] == 0x20 {
            text.append(contentsOf: replacement)
          } else {
            text.append(bytes[index])
          }
        }
        let isPrepended = prepending == .always || (prepending == .first && piece.beginsText)
        if isPrepended, !text[start...].starts(with: replacement) {
          text.insert(contentsOf: replacement, at: start)
        }
      }
      if splits { try pieces.split(.literal(replacement), .mergedWithNext, with: &machine) }
    }
  }
}
