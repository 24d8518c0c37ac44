import ByteIO

/// A chat template cut into text and tags, with white space removed as transformers sets Jinja to:
/// the line end behind a statement, and what indents it.
struct TemplateLexer {
  enum Piece: Sendable {
    case text(String)
    /// `{{ }}` and what stands in it.
    case output([TemplateToken])
    /// `{% %}` and what stands in it.
    case statement([TemplateToken])
  }

  private let scalars: [UnicodeScalar]
  private var position = 0
  private var pieces: [Piece] = []
  /// Whether the last tag, with the white space it took, ended a line.
  private var beginsLine = true

  static func pieces(of template: String) throws(TokenizerError) -> [Piece] {
    var lexer = TemplateLexer(template)
    try lexer.run()
    return lexer.pieces
  }

  private init(_ template: String) {
    var scalars: [UnicodeScalar] = []
    for scalar in template.unicodeScalars {
      // line ends are made alike first
      if scalar == "\n", scalars.last == "\r" { scalars.removeLast() }
      scalars.append(scalar)
    }
    if scalars.last == "\n" { scalars.removeLast() }
    self.scalars = scalars
  }

  static func unsupported(_ what: String) -> TokenizerError {
    TokenizerError(
      .unsupportedTemplate,
      "the chat template has \(what), which leank does not compute; give the text the model expects with --prompt"
    )
  }

  private func isNext(_ text: String, at place: Int) -> Bool {
    scalars[min(place, scalars.count)...].starts(with: text.unicodeScalars)
  }

  private mutating func run() throws(TokenizerError) {
    var start = 0
    while position < scalars.count {
      guard scalars[position] == "{", position + 1 < scalars.count else {
        position += 1
        continue
      }
      switch scalars[position + 1] {
      case "{":
        appendText(from: start, isOutput: true)
        pieces.append(.output(try tag(closing: "}}")))
      case "%":
        appendText(from: start, isOutput: false)
        pieces.append(.statement(try tag(closing: "%}")))
      case "#":
        appendText(from: start, isOutput: false)
        try comment()
      default:
        position += 1
        continue
      }
      start = position
    }
    if start < scalars.count { pieces.append(.text(Self.string(scalars[start...]))) }
  }

  static func string(_ scalars: ArraySlice<UnicodeScalar>) -> String {
    var text = ""
    text.unicodeScalars.append(contentsOf: scalars)
    return text
  }

  /// The text before the tag at the cursor, without what the tag takes of it.
  private mutating func appendText(from start: Int, isOutput: Bool) {
    var end = position
    let sign = position + 2 < scalars.count ? scalars[position + 2] : " "
    if sign == "-" {
      while end > start, scalars[end - 1].properties.isWhitespace { end -= 1 }
    } else if !isOutput, sign != "+" {
      var line = end
      while line > start, scalars[line - 1] == " " || scalars[line - 1] == "\t" { line -= 1 }
      let isAtStart = line == start ? beginsLine : scalars[line - 1] == "\n"
      if isAtStart { end = line }
    }
    if start < end { pieces.append(.text(Self.string(scalars[start..<end]))) }
    position += sign == "-" || sign == "+" ? 3 : 2
  }

  /// White space behind a tag that has been read, which `sign` and Jinja's setting take.
  private mutating func skipBehind(stripsAll: Bool, trimsLine: Bool) {
    let start = position
    if stripsAll {
      while position < scalars.count, scalars[position].properties.isWhitespace { position += 1 }
    } else if trimsLine, position < scalars.count, scalars[position] == "\n" {
      position += 1
    }
    beginsLine = position > start && scalars[position - 1] == "\n"
  }

  private mutating func comment() throws(TokenizerError) {
    while !isNext("#}", at: position) {
      guard position < scalars.count else { throw Self.unsupported("a comment that does not end") }
      position += 1
    }
    let stripsAll = scalars[position - 1] == "-"
    position += 2
    skipBehind(stripsAll: stripsAll, trimsLine: true)
  }

  /// The tokens up to `closing`, which is read too.
  private mutating func tag(closing: String) throws(TokenizerError) -> [TemplateToken] {
    var tokens: [TemplateToken] = []
    while true {
      guard position < scalars.count else { throw Self.unsupported("a tag that does not end") }
      let isStripping = isNext("-" + closing, at: position)
      if isStripping || isNext(closing, at: position) {
        position += isStripping ? 3 : 2
        skipBehind(stripsAll: isStripping, trimsLine: closing == "%}")
        return tokens
      }
      if scalars[position].properties.isWhitespace {
        position += 1
      } else {
        tokens.append(try token())
      }
    }
  }

  private mutating func token() throws(TokenizerError) -> TemplateToken {
    let scalar = scalars[position]
    if scalar == "\"" || scalar == "'" { return .string(try string(quote: scalar)) }
    if ("0"..."9").contains(scalar) {
      let start = position
      while position < scalars.count, ("0"..."9").contains(scalars[position]) { position += 1 }
      let digits = Self.string(scalars[start..<position])
      guard let number = Int(digits), !isNext(".", at: position) else {
        throw Self.unsupported("the number \(quoted(digits))")
      }
      return .integer(number)
    }
    if scalar.properties.isAlphabetic || scalar == "_" {
      let start = position
      while position < scalars.count, Self.isNamePart(scalars[position]) { position += 1 }
      return .name(Self.string(scalars[start..<position]))
    }
    for text in ["==", "!=", "<=", ">=", "//", "**"] where isNext(text, at: position) {
      position += 2
      return .sign(text)
    }
    position += 1
    return .sign(String(scalar))
  }

  private static func isNamePart(_ scalar: UnicodeScalar) -> Bool {
    scalar.properties.isAlphabetic || scalar == "_" || ("0"..."9").contains(scalar)
  }

  private mutating func string(quote: UnicodeScalar) throws(TokenizerError) -> String {
    var text = ""
    position += 1
    while position < scalars.count, scalars[position] != quote {
      guard scalars[position] == "\\" else {
        text.unicodeScalars.append(scalars[position])
        position += 1
        continue
      }
      guard position + 1 < scalars.count else { break }
      let escape = scalars[position + 1]
      position += 2
      switch escape {
      case "n": text.unicodeScalars.append("\n")
      case "t": text.unicodeScalars.append("\t")
      case "r": text.unicodeScalars.append("\r")
      case "\\", "'", "\"": text.unicodeScalars.append(escape)
      default: throw Self.unsupported("the escape \(quoted("\\" + String(escape)))")
      }
    }
    guard position < scalars.count else { throw Self.unsupported("a text that does not end") }
    position += 1
    return text
  }
}

enum TemplateToken: Sendable, Equatable {
  case name(String)
  case string(String)
  case integer(Int)
  case sign(String)

  var shown: String {
    switch self {
    case .name(let text), .sign(let text): text
    case .string(let text): "'" + text + "'"
    case .integer(let number): String(number)
    }
  }
}
