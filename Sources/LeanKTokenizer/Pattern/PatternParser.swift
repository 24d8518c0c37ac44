import ByteIO

/// Reads a regular expression in Oniguruma's syntax, as far as tokenizers use it.
///
/// What is not known here, or what other engines take for something else, is refused by name rather
/// than guessed at.
struct PatternParser {
  /// Deepest nesting of groups and classes.
  static let depthLimit = 32
  /// Most repetitions that are written as a number.
  static let countLimit = 1000

  let scalars: [UnicodeScalar]
  var index = 0
  var depth = 0
  var ignoresCase = false

  private init(_ text: String) { scalars = Array(text.unicodeScalars) }

  static func parse(_ text: String) throws(TokenizerError) -> PatternNode {
    var parser = PatternParser(text)
    let node = try parser.alternatives()
    guard parser.index == parser.scalars.count else { throw parser.syntax("a \")\" too many") }
    return node
  }

  var next: UnicodeScalar? { index < scalars.count ? scalars[index] : nil }

  func isNext(_ text: String) -> Bool {
    scalars[index...].starts(with: text.unicodeScalars)
  }

  mutating func take(_ text: String) -> Bool {
    guard isNext(text) else { return false }
    index += text.unicodeScalars.count
    return true
  }

  func syntax(_ what: String) -> TokenizerError {
    TokenizerError(
      .patternSyntax, "pattern \(shown): \(what), at character \(index)")
  }

  func unknown(_ what: String) -> TokenizerError {
    TokenizerError(
      .unsupportedPattern,
      "pattern \(shown): \(what), at character \(index), is not something leank computes")
  }

  var shown: String {
    var text = ""
    text.unicodeScalars.append(contentsOf: scalars.prefix(80))
    return quoted(text)
  }

  private mutating func alternatives() throws(TokenizerError) -> PatternNode {
    depth += 1
    guard depth <= Self.depthLimit else {
      throw TokenizerError(.tooLarge, "pattern \(shown) nests deeper than \(Self.depthLimit)")
    }
    let outerCase = ignoresCase
    defer {
      depth -= 1
      ignoresCase = outerCase
    }
    var parts = [try sequence()]
    while take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(TokenizerError) -> PatternNode {
    var parts: [PatternNode] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      guard let part = try atom() else { continue }
      parts.append(try quantified(part))
    }
    return .sequence(parts)
  }

  /// One character, class, group or anchor; nil for an option that only switches.
  private mutating func atom() throws(TokenizerError) -> PatternNode? {
    let scalar = scalars[index]
    switch scalar {
    case "(": return try group()
    case "[": return .scalar(try set())
    case "\\": return try escape()
    case "*", "+", "?": throw syntax("a quantifier without anything to repeat")
    case "{": throw unknown("a brace that is no count")
    case ".":
      index += 1
      return .scalar(ScalarClass(0x0A...0x0A).complement)
    case "^":
      index += 1
      return .lineStart
    case "$":
      index += 1
      return .lineEnd
    default:
      index += 1
      return .scalar(try literal(scalar))
    }
  }

  /// The class of one literal character, with its other case where case is ignored.
  mutating func literal(_ scalar: UnicodeScalar) throws(TokenizerError) -> ScalarClass {
    guard ignoresCase else { return ScalarClass(scalar.value...scalar.value) }
    guard scalar.isASCII else { throw unknown("a character beyond ASCII whose case is ignored") }
    // Two letters that also stand for one ligature, which would have to match as well.
    if let following = next {
      let pair = String(scalar).lowercased() + String(following).lowercased()
      guard !["ss", "st", "ff", "fi", "fl"].contains(pair) else {
        throw unknown("\(quoted(pair)) whose case is ignored")
      }
    }
    return Self.anyCase(scalar.value)
  }

  /// An ASCII character, its other case, and what Unicode folds to it.
  static func anyCase(_ value: UInt32) -> ScalarClass {
    let lower = value | 0x20
    guard (0x61...0x7A).contains(lower) else { return ScalarClass(value...value) }
    let upper = lower ^ 0x20
    let both = ScalarClass(lower...lower, upper...upper)
    switch lower {
    case 0x73: return both.union(ScalarClass(0x17F...0x17F))
    case 0x6B: return both.union(ScalarClass(0x212A...0x212A))
    default: return both
    }
  }

  private mutating func group() throws(TokenizerError) -> PatternNode? {
    index += 1
    var wrap: (PatternNode) throws(TokenizerError) -> PatternNode = { $0 }
    let outerCase = ignoresCase
    if take("?") {
      if take("=") {
        wrap = { .look($0, ahead: true, negative: false) }
      } else if take("!") {
        wrap = { .look($0, ahead: true, negative: true) }
      } else if take("<=") {
        wrap = { .look($0, ahead: false, negative: false) }
      } else if take("<!") {
        wrap = { .look($0, ahead: false, negative: true) }
      } else if take(">") {
        wrap = { .atomic($0) }
      } else if take("-i:") {
        ignoresCase = false
      } else if take("i:") {
        ignoresCase = true
      } else if index == 2, take("i)") {
        // in the middle of a pattern, engines disagree about how far it reaches
        ignoresCase = true
        return nil
      } else if !take(":") {
        throw unknown("the group \(quoted("(?" + (next.map { String($0) } ?? "")))")
      }
    }
    let inner = try alternatives()
    ignoresCase = outerCase
    guard take(")") else { throw syntax("a group that does not end") }
    return try wrap(inner)
  }

  private mutating func quantified(_ node: PatternNode) throws(TokenizerError) -> PatternNode {
    var least = 0
    var most: Int? = nil
    var isCounted = false
    switch next {
    case "*": index += 1
    case "+":
      index += 1
      least = 1
    case "?":
      index += 1
      most = 1
    case "{":
      guard let counts = try interval() else { return node }
      (least, most) = counts
      isCounted = true
    default: return node
    }
    var greed = PatternNode.Greed.greedy
    var isRepeated = false
    if isNext("?") || isNext("+") {
      // engines disagree about {n}?
      guard !isCounted || isNext("+") || most != least else { throw unknown("{n}?") }
      greed = isNext("?") ? .lazy : isCounted ? .greedy : .possessive
      // behind a count, + is a quantifier of its own here
      isRepeated = isCounted && isNext("+")
      index += 1
    }
    if let scalar = next, ["*", "+", "?", "{"].contains(scalar) {
      throw unknown("a quantifier of a quantifier")
    }
    guard node.width.least > 0 else { throw unknown("a repetition of what may be empty") }
    let repetition = PatternNode.repetition(node, least: least, most: most, greed)
    guard isRepeated else { return repetition }
    guard least > 0 else { throw unknown("a repetition of what may be empty") }
    return .repetition(repetition, least: 1, most: nil, .greedy)
  }

  /// `{n}`, `{n,}`, `{,m}` or `{n,m}`; nil where the brace stands for itself.
  private mutating func interval() throws(TokenizerError) -> (Int, Int?)? {
    var cursor = index + 1
    func number() -> Int? {
      var digits = ""
      while cursor < scalars.count, ("0"..."9").contains(scalars[cursor]), digits.count < 9 {
        digits.unicodeScalars.append(scalars[cursor])
        cursor += 1
      }
      return Int(digits)
    }
    let least = number()
    var most = least
    let hasComma = cursor < scalars.count && scalars[cursor] == ","
    if hasComma {
      cursor += 1
      most = number()
    }
    guard cursor < scalars.count, scalars[cursor] == "}", least != nil || most != nil else {
      throw unknown("a brace that is no count")
    }
    index = cursor + 1
    guard (least ?? 0) <= Self.countLimit, (most ?? 0) <= Self.countLimit else {
      throw TokenizerError(
        .tooLarge, "pattern \(shown) repeats more than \(Self.countLimit) times")
    }
    guard (most ?? .max) >= (least ?? 0) else { throw syntax("a count that ends before it begins") }
    return (least ?? 0, most)
  }
}
