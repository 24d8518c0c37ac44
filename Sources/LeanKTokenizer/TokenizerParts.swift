import StrictJSON

// The steps of a tokenizer as its file names them.

extension Normalizer {
  static func steps(of part: FilePart) throws(TokenizerError) -> [Normalizer] {
    switch try part.kind() {
    case "Sequence": return try part.parts("normalizers").flattened(steps)
    case "NFC": return [.form(.nfc)]
    case "NFD": return [.form(.nfd)]
    case "NFKC": return [.form(.nfkc)]
    case "NFKD": return [.form(.nfkd)]
    case "Lowercase": return [.lowercase]
    case "Prepend": return [.prepend(Array(try part.requiredText("prepend").utf8))]
    case "Replace":
      return [.replace(try part.pattern(), Array(try part.requiredText("content").utf8))]
    case "Strip":
      return [.strip(left: try part.bool("strip_left"), right: try part.bool("strip_right"))]
    case let kind: throw part.unsupported(kind, "normalizer")
    }
  }
}

extension PreTokenizer {
  static func steps(of part: FilePart) throws(TokenizerError) -> [PreTokenizer] {
    switch try part.kind() {
    case "Sequence": return try part.parts("pretokenizers").flattened(steps)
    case "ByteLevel":
      let words =
        try part.bool("use_regex", default: true)
        ? try TextPattern(expression: ByteAlphabet.pattern) : nil
      return [.byteLevel(addsPrefixSpace: try part.bool("add_prefix_space"), words: words)]
    case "Split":
      return [
        .split(
          try part.pattern(), try behavior(of: part),
          inverted: try part.bool("invert", default: false))
      ]
    case "Digits": return [.digits(individual: try part.bool("individual_digits", default: false))]
    case "Punctuation":
      return [.punctuation(part.member("behavior") == nil ? .isolated : try behavior(of: part))]
    case "Metaspace": return [try metaspace(part)]
    case "Whitespace": return [.whitespace]
    case "WhitespaceSplit": return [.whitespaceSplit]
    case let kind: throw part.unsupported(kind, "pre-tokenizer")
    }
  }

  private static func behavior(of part: FilePart) throws(TokenizerError) -> Pieces.Behavior {
    let name = try part.kind("behavior")
    guard let behavior = Pieces.Behavior(rawValue: name) else {
      throw part.unsupported(name, "behavior")
    }
    return behavior
  }

  private static func metaspace(_ part: FilePart) throws(TokenizerError) -> PreTokenizer {
    .metaspace(
      replacement: Array(String(try part.scalar("replacement")).utf8), try prepending(of: part),
      splits: try part.bool("split", default: true))
  }

  /// Whether words get the replacement in front: by its new name, or by the old one.
  static func prepending(of part: FilePart) throws(TokenizerError) -> Prepending {
    guard part.member("prepend_scheme") != nil else {
      return try part.bool("add_prefix_space", default: true) ? .always : .never
    }
    let name = try part.kind("prepend_scheme")
    guard let scheme = Prepending(rawValue: name) else {
      throw part.unsupported(name, "prepend_scheme")
    }
    let hasPrefix = try part.bool("add_prefix_space", default: true)
    guard scheme == .never || hasPrefix else {
      throw part.error(
        .inconsistent, "add_prefix_space is false, prepend_scheme is not \"never\"")
    }
    return scheme
  }
}

extension TokenDecoder.Kind {
  static func steps(of part: FilePart) throws(TokenizerError) -> [TokenDecoder.Kind] {
    switch try part.kind() {
    case "Sequence": return try part.parts("decoders").flattened(steps)
    case "ByteLevel": return [.byteLevel]
    case "ByteFallback": return [.byteFallback]
    case "Fuse": return [.fuse]
    case "Strip":
      return [
        .strip(
          try part.scalar("content").value, start: try part.integer("start", limit: 1 << 20),
          stop: try part.integer("stop", limit: 1 << 20))
      ]
    case "Replace":
      return [.replace(try part.pattern(), Array(try part.requiredText("content").utf8))]
    case "Metaspace":
      return [
        .metaspace(
          replacement: try part.scalar("replacement").value,
          dropsFirst: try PreTokenizer.prepending(of: part) != .never)
      ]
    case let kind: throw part.unsupported(kind, "decoder")
    }
  }
}

/// The special tokens that go before and behind a text.
struct PostProcessor: Sendable {
  private(set) var before: [Int] = []
  private(set) var behind: [Int] = []

  init() {}

  /// Several steps go around each other, the first one innermost.
  init(_ part: FilePart) throws(TokenizerError) {
    switch try part.kind() {
    // only says where a token stands in the text
    case "ByteLevel": break
    case "Sequence":
      for part in try part.parts("processors") {
        let step = try PostProcessor(part)
        before = step.before + before
        behind += step.behind
      }
    case "TemplateProcessing": try template(part)
    case let kind: throw part.unsupported(kind, "post-processor")
    }
    guard before.count + behind.count <= 1 << 16 else {
      throw part.error(.tooLarge, "more than 65536 special tokens")
    }
  }

  private mutating func template(_ part: FilePart) throws(TokenizerError) {
    var ids: [Int] = []
    var hasText = false
    for piece in try part.parts("single") {
      if let token = try piece.part("SpecialToken") {
        ids += try Self.ids(of: try token.requiredText("id"), in: part)
      } else if let text = try piece.part("Sequence") {
        let name = try text.kind("id")
        guard name == "A", !hasText else {
          throw text.error(.unsupportedPart, "expected the text \"A\" once")
        }
        hasText = true
        before = ids
        ids = []
      } else {
        throw piece.error(.missingKey, "expected a key \"SpecialToken\" or \"Sequence\"")
      }
    }
    guard hasText else { throw part.error(.unsupportedPart, "no text \"A\"", at: "single") }
    behind = ids
  }

  private static func ids(of name: String, in part: FilePart) throws(TokenizerError) -> [Int] {
    guard let tokens = try part.part("special_tokens"), let entry = try tokens.part(name) else {
      throw part.error(.missingKey, "a special token that is not listed", at: "special_tokens")
    }
    let list = try entry.required("ids")
    var ids: [Int] = []
    for value in list.values {
      guard let id = value.integer, (0..<Vocabulary.idLimit).contains(id), ids.count < 1024 else {
        throw entry.error(.outOfRange, "expected token ids", at: "ids")
      }
      ids.append(id)
    }
    return ids
  }
}

extension [FilePart] {
  /// The steps of all parts, one after the other.
  fileprivate func flattened<Step>(
    _ steps: (FilePart) throws(TokenizerError) -> [Step]
  ) throws(TokenizerError) -> [Step] {
    var result: [Step] = []
    for part in self {
      result += try steps(part)
      guard result.count <= 64 else { throw part.error(.tooLarge, "more than 64 steps") }
    }
    return result
  }
}
