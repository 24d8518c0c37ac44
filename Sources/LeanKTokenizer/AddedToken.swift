/// A token that is found in the text before anything else happens to it.
public struct AddedToken: Sendable, Equatable {
  public let id: Int
  public let content: String
  /// Only where no letter, digit, mark or connector stands right before or after it.
  public var isSingleWord = false
  /// White space before it belongs to it.
  public var stripsLeft = false
  /// White space after it belongs to it.
  public var stripsRight = false
  /// Looked for, in its own normal form, in the text that has been normalized.
  public var isNormalized = true
  /// One that a model means, not one that a text says: left out of what is shown to people.
  public var isSpecial = false

  public init(id: Int, content: String) {
    self.id = id
    self.content = content
  }

  /// Bytes are compared: to `String`, other spellings would be equal as well.
  public static func == (left: Self, right: Self) -> Bool {
    left.id == right.id && left.content.utf8.elementsEqual(right.content.utf8)
      && left.isSingleWord == right.isSingleWord && left.stripsLeft == right.stripsLeft
      && left.stripsRight == right.stripsRight && left.isNormalized == right.isNormalized
      && left.isSpecial == right.isSpecial
  }
}

/// Finds added tokens in a text: the leftmost first, of several there the longest.
struct AddedTokenFinder: Sendable {
  /// Longest content, which bounds what each place in a text costs.
  static let contentLimit = 512
  /// Most tokens, and most bytes of all together.
  static let countLimit = 1 << 16
  static let byteLimit = 1 << 20

  /// A stretch of text: an added token, or what lies between.
  struct Stretch {
    var range: Range<Int>
    var token: AddedToken?
  }

  private struct Node: Sendable {
    /// The token that ends here, -1 for none.
    var token = -1
  }

  private var tokens: [AddedToken] = []
  private var nodes = [Node()]
  /// The next node by node and byte.
  private var edges: [UInt64: Int] = [:]
  private var first = [Bool](repeating: false, count: 256)

  var isEmpty: Bool { tokens.isEmpty }

  /// Looks for those tokens that `isMeant`, each spelled as in `texts`; special ones come first where
  /// two are spelled alike.
  init(_ tokens: [AddedToken], _ texts: [[UInt8]], where isMeant: (AddedToken) -> Bool) {
    for isSpecial in [true, false] {
      for (token, text) in zip(tokens, texts)
      where token.isSpecial == isSpecial && isMeant(token) {
        insert(token, as: text)
      }
    }
  }

  private mutating func insert(_ token: AddedToken, as text: [UInt8]) {
    guard let start = text.first else { return }
    first[Int(start)] = true
    var node = 0
    for byte in text {
      let edge = UInt64(node) << 8 | UInt64(byte)
      if let next = edges[edge] {
        node = next
      } else {
        nodes.append(Node())
        node = nodes.count - 1
        edges[edge] = node
      }
    }
    // of two tokens with one text, the first counts
    guard nodes[node].token < 0 else { return }
    nodes[node].token = tokens.count
    tokens.append(token)
  }

  /// All of `text`, in stretches from left to right. White space that a token takes from its
  /// neighbours belongs to its stretch.
  func stretches(of text: Span<UInt8>) -> [Stretch] {
    var result: [Stretch] = []
    var rest = 0
    var position = 0
    while position < text.count {
      guard first[Int(text[position])], let found = longest(in: text, at: position) else {
        position += 1
        continue
      }
      var (start, end) = (position, found.end)
      position = end
      let token = tokens[found.token]
      if token.isSingleWord, Self.isWord(before: start, in: text) || Self.isWord(at: end, in: text)
      {
        continue
      }
      if token.stripsLeft {
        while let before = Self.space(before: start, in: text) { start = before }
        start = max(start, rest)
      }
      if token.stripsRight { while let after = Self.space(at: end, in: text) { end = after } }
      if rest < start { result.append(Stretch(range: rest..<start, token: nil)) }
      result.append(Stretch(range: min(start, end)..<end, token: token))
      rest = end
    }
    if rest < text.count { result.append(Stretch(range: rest..<text.count, token: nil)) }
    return result
  }

  private func longest(in text: Span<UInt8>, at start: Int) -> (token: Int, end: Int)? {
    var found: (token: Int, end: Int)?
    var node = 0
    var position = start
    while position < text.count, let next = edges[UInt64(node) << 8 | UInt64(text[position])] {
      node = next
      position += 1
      if nodes[node].token >= 0 { found = (nodes[node].token, position) }
    }
    return found
  }

  private static func isWord(before position: Int, in text: Span<UInt8>) -> Bool {
    guard let start = start(before: position, in: text) else { return false }
    return ScalarClass.rustWord.contains(PatternMachine.scalar(in: text, at: start).value)
  }

  private static func isWord(at position: Int, in text: Span<UInt8>) -> Bool {
    position < text.count
      && ScalarClass.rustWord.contains(PatternMachine.scalar(in: text, at: position).value)
  }

  private static func start(before position: Int, in text: Span<UInt8>) -> Int? {
    guard position > 0 else { return nil }
    var start = position - 1
    while text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  /// Where the white space that ends at `position` begins, one scalar of it.
  private static func space(before position: Int, in text: Span<UInt8>) -> Int? {
    guard let start = start(before: position, in: text),
      ScalarClass.space.contains(PatternMachine.scalar(in: text, at: start).value)
    else { return nil }
    return start
  }

  private static func space(at position: Int, in text: Span<UInt8>) -> Int? {
    guard position < text.count else { return nil }
    let (value, length) = PatternMachine.scalar(in: text, at: position)
    return ScalarClass.space.contains(value) ? position + length : nil
  }
}
