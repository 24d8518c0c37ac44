import ByteIO

/// A chat template as a tree.
indirect enum TemplateStatement: Sendable {
  case text(String)
  case output(TemplateExpression)
  case conditional([(condition: TemplateExpression?, body: [TemplateStatement])])
  case loop(
    variables: [String], TemplateExpression, condition: TemplateExpression?,
    body: [TemplateStatement], otherwise: [TemplateStatement])
  /// A name, or a member of a namespace, gets a value.
  case assignment(String, member: String?, TemplateExpression)
  /// A name gets what a stretch of the template writes.
  case capture(String, [TemplateStatement])
}

/// Reads the statements of a template.
struct TemplateParser {
  private let pieces: [TemplateLexer.Piece]
  private var index = 0
  private var depth = 0

  static func parse(_ template: String) throws(TokenizerError) -> [TemplateStatement] {
    var parser = TemplateParser(pieces: try TemplateLexer.pieces(of: template))
    let (body, end) = try parser.statements(until: [])
    guard end == nil else { throw TemplateLexer.unsupported("a statement that nothing began") }
    return body
  }

  private init(pieces: [TemplateLexer.Piece]) { self.pieces = pieces }

  /// What stands up to a statement that is one of `ends`, and that statement with its tokens.
  private mutating func statements(
    until ends: [String]
  ) throws(TokenizerError) -> ([TemplateStatement], (String, TemplateExpressionParser)?) {
    depth += 1
    defer { depth -= 1 }
    guard depth <= TemplateExpressionParser.depthLimit else {
      throw TokenizerError(.tooLarge, "the chat template nests too deeply")
    }
    var body: [TemplateStatement] = []
    while index < pieces.count {
      let piece = pieces[index]
      index += 1
      switch piece {
      case .text(let text): body.append(.text(text))
      case .output(let tokens):
        var parser = TemplateExpressionParser(tokens)
        body.append(.output(try parser.whole()))
      case .statement(let tokens):
        var parser = TemplateExpressionParser(tokens)
        guard let name = parser.takeName() else { throw parser.unexpected() }
        if ends.contains(name) { return (body, (name, parser)) }
        // what stands between is written as if these were not there
        if name == "generation" || name == "endgeneration", parser.isAtEnd { continue }
        body.append(try statement(name, &parser))
      }
    }
    guard ends.isEmpty else {
      throw TemplateLexer.unsupported("no \(quoted(ends.last ?? "")) where it should be")
    }
    return (body, nil)
  }

  private mutating func statement(
    _ name: String, _ parser: inout TemplateExpressionParser
  ) throws(TokenizerError) -> TemplateStatement {
    switch name {
    case "if": return try conditional(&parser)
    case "for": return try loop(&parser)
    case "set": return try assignment(&parser)
    default: throw TemplateLexer.unsupported("a statement \(quoted(name))")
    }
  }

  private mutating func conditional(
    _ parser: inout TemplateExpressionParser
  ) throws(TokenizerError) -> TemplateStatement {
    var branches: [(condition: TemplateExpression?, body: [TemplateStatement])] = []
    var condition: TemplateExpression? = try parser.whole()
    while true {
      let isLast = condition == nil
      let (body, end) = try statements(until: isLast ? ["endif"] : ["elif", "else", "endif"])
      branches.append((condition, body))
      guard let (name, tokens) = end else { throw TemplateLexer.unsupported("an if without end") }
      var rest = tokens
      switch name {
      case "elif": condition = try rest.whole()
      case "else": condition = nil
      default: return .conditional(branches)
      }
    }
  }

  private mutating func loop(
    _ parser: inout TemplateExpressionParser
  ) throws(TokenizerError) -> TemplateStatement {
    var variables: [String] = []
    repeat {
      guard let name = parser.takeName() else { throw parser.unexpected() }
      variables.append(name)
    } while parser.take(.sign(","))
    guard parser.take(.name("in")) else { throw parser.unexpected() }
    // an `if` here is the loop's, not that of a value
    let list = try parser.withoutConditional()
    let condition = parser.take(.name("if")) ? try parser.conditional() : nil
    guard parser.isAtEnd else { throw TemplateLexer.unsupported("a loop of another form") }
    let (body, end) = try statements(until: ["else", "endfor"])
    var otherwise: [TemplateStatement] = []
    if end?.0 == "else" { otherwise = try statements(until: ["endfor"]).0 }
    return .loop(variables: variables, list, condition: condition, body: body, otherwise: otherwise)
  }

  private mutating func assignment(
    _ parser: inout TemplateExpressionParser
  ) throws(TokenizerError) -> TemplateStatement {
    guard let name = parser.takeName() else { throw parser.unexpected() }
    guard !parser.isAtEnd else { return .capture(name, try statements(until: ["endset"]).0) }
    var member: String?
    if parser.take(.sign(".")) {
      guard let name = parser.takeName() else { throw parser.unexpected() }
      member = name
    }
    try parser.expect("=")
    return .assignment(name, member: member, try parser.whole())
  }
}
