import ByteIO

/// What stands in a tag of a chat template, as a tree of limited depth.
indirect enum TemplateExpression: Sendable {
  case string(String)
  case integer(Int)
  case bool(Bool)
  case none
  case name(String)
  case list([TemplateExpression])
  case dictionary([(TemplateExpression, TemplateExpression)])
  case attribute(TemplateExpression, String)
  case item(TemplateExpression, TemplateExpression)
  case slice(TemplateExpression, TemplateExpression?, TemplateExpression?)
  /// `[::-1]`
  case reversed(TemplateExpression)
  case call(TemplateExpression, Arguments)
  case filter(TemplateExpression, String, Arguments)
  case test(TemplateExpression, String, negated: Bool)
  case not(TemplateExpression)
  case negative(TemplateExpression)
  case binary(String, TemplateExpression, TemplateExpression)
  case conditional(TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)

  struct Arguments: Sendable {
    var values: [TemplateExpression] = []
    var named: [(String, TemplateExpression)] = []
  }
}

/// Reads an expression with Jinja's precedences.
struct TemplateExpressionParser {
  static let depthLimit = 48
  /// Most operations of one expression, which its tree may be as deep as.
  static let linkLimit = 128

  private let tokens: [TemplateToken]
  private var index = 0
  private var depth = 0

  init(_ tokens: [TemplateToken]) { self.tokens = tokens }

  var next: TemplateToken? { index < tokens.count ? tokens[index] : nil }
  var isAtEnd: Bool { index == tokens.count }

  mutating func take(_ token: TemplateToken) -> Bool {
    guard next == token else { return false }
    index += 1
    return true
  }

  mutating func takeName() -> String? {
    guard case .name(let name) = next else { return nil }
    index += 1
    return name
  }

  func unexpected() -> TokenizerError {
    TemplateLexer.unsupported(
      next.map { "\(quoted($0.shown)) where nothing of the kind may stand" }
        ?? "a tag that breaks off")
  }

  mutating func expect(_ sign: String) throws(TokenizerError) {
    guard take(.sign(sign)) else { throw unexpected() }
  }

  mutating func whole() throws(TokenizerError) -> TemplateExpression {
    let expression = try conditional()
    guard isAtEnd else { throw unexpected() }
    return expression
  }

  mutating func conditional() throws(TokenizerError) -> TemplateExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else {
      throw TokenizerError(.tooLarge, "the chat template nests deeper than \(Self.depthLimit)")
    }
    var expression = try either()
    while take(.name("if")) {
      let condition = try either()
      let otherwise = take(.name("else")) ? try conditional() : nil
      expression = .conditional(condition, then: expression, otherwise: otherwise)
    }
    return expression
  }

  /// An expression that is no choice between two values.
  mutating func withoutConditional() throws(TokenizerError) -> TemplateExpression { try either() }

  private mutating func either() throws(TokenizerError) -> TemplateExpression {
    var left = try both()
    while take(.name("or")) { left = try deeper(.binary("or", left, try both())) }
    return left
  }

  private mutating func both() throws(TokenizerError) -> TemplateExpression {
    var left = try negation()
    while take(.name("and")) { left = try deeper(.binary("and", left, try negation())) }
    return left
  }

  /// Counts what chains of one level add to the depth of the tree.
  private var links = 0
  private mutating func deeper(
    _ expression: TemplateExpression
  ) throws(TokenizerError) -> TemplateExpression {
    links += 1
    guard links <= Self.linkLimit else {
      throw TokenizerError(.tooLarge, "an expression of more than \(Self.linkLimit) operations")
    }
    return expression
  }

  private mutating func negation() throws(TokenizerError) -> TemplateExpression {
    var count = 0
    while take(.name("not")) { count += 1 }
    let inner = try comparison()
    return count % 2 == 1 ? .not(inner) : count > 0 ? .not(.not(inner)) : inner
  }

  private mutating func comparison() throws(TokenizerError) -> TemplateExpression {
    let left = try sum()
    var operation: String?
    if case .sign(let sign) = next, ["==", "!=", "<", ">", "<=", ">="].contains(sign) {
      operation = sign
      index += 1
    } else if take(.name("in")) {
      operation = "in"
    } else if next == .name("not"), index + 1 < tokens.count, tokens[index + 1] == .name("in") {
      index += 2
      operation = "not in"
    }
    guard let operation else { return left }
    let right = try sum()
    if case .sign(let sign) = next, ["==", "!=", "<", ">", "<=", ">="].contains(sign) {
      throw TemplateLexer.unsupported("a comparison of three values")
    }
    return .binary(operation, left, right)
  }

  private mutating func sum() throws(TokenizerError) -> TemplateExpression {
    var left = try joined()
    while case .sign(let sign) = next, sign == "+" || sign == "-" {
      index += 1
      left = try deeper(.binary(sign, left, try joined()))
    }
    return left
  }

  private mutating func joined() throws(TokenizerError) -> TemplateExpression {
    var left = try product()
    while take(.sign("~")) { left = try deeper(.binary("~", left, try product())) }
    return left
  }

  private mutating func product() throws(TokenizerError) -> TemplateExpression {
    var left = try unary()
    while case .sign(let sign) = next, ["*", "/", "//", "%"].contains(sign) {
      index += 1
      left = try deeper(.binary(sign, left, try unary()))
    }
    return left
  }

  private mutating func unary() throws(TokenizerError) -> TemplateExpression {
    if take(.sign("-")) { return .negative(try postfix(try primary())) }
    return try postfix(try primary())
  }

  private mutating func primary() throws(TokenizerError) -> TemplateExpression {
    guard let token = next else { throw unexpected() }
    index += 1
    switch token {
    case .string(var text):
      // neighbouring texts are one
      while case .string(let more) = next {
        text += more
        index += 1
      }
      return .string(text)
    case .integer(let number): return .integer(number)
    case .name("true"), .name("True"): return .bool(true)
    case .name("false"), .name("False"): return .bool(false)
    case .name("none"), .name("None"): return .none
    case .name(let name): return .name(name)
    case .sign("("):
      let inner = try conditional()
      try expect(")")
      return inner
    case .sign("["): return .list(try values(closing: "]"))
    case .sign("{"):
      var pairs: [(TemplateExpression, TemplateExpression)] = []
      while !take(.sign("}")) {
        let key = try conditional()
        try expect(":")
        pairs.append((key, try conditional()))
        guard take(.sign(",")) || next == .sign("}") else { throw unexpected() }
      }
      return .dictionary(pairs)
    case .sign:
      index -= 1
      throw unexpected()
    }
  }

  private mutating func values(closing: String) throws(TokenizerError) -> [TemplateExpression] {
    var values: [TemplateExpression] = []
    while !take(.sign(closing)) {
      values.append(try conditional())
      guard take(.sign(",")) || next == .sign(closing) else { throw unexpected() }
    }
    return values
  }

  private mutating func arguments() throws(TokenizerError) -> TemplateExpression.Arguments {
    var arguments = TemplateExpression.Arguments()
    while !take(.sign(")")) {
      if case .name(let name) = next, index + 1 < tokens.count, tokens[index + 1] == .sign("=") {
        index += 2
        arguments.named.append((name, try conditional()))
      } else {
        arguments.values.append(try conditional())
      }
      guard take(.sign(",")) || next == .sign(")") else { throw unexpected() }
    }
    return arguments
  }

  private mutating func postfix(
    _ start: TemplateExpression
  ) throws(TokenizerError) -> TemplateExpression {
    var expression = start
    while true {
      if take(.sign(".")) {
        guard let name = takeName() else { throw unexpected() }
        expression = try deeper(.attribute(expression, name))
      } else if take(.sign("[")) {
        expression = try deeper(try subscripted(expression))
      } else if take(.sign("(")) {
        expression = try deeper(.call(expression, try arguments()))
      } else if take(.sign("|")) {
        guard let name = takeName() else { throw unexpected() }
        let arguments = take(.sign("(")) ? try arguments() : .init()
        expression = try deeper(.filter(expression, name, arguments))
      } else if take(.name("is")) {
        let negated = take(.name("not"))
        guard let name = takeName() else { throw unexpected() }
        expression = try deeper(.test(expression, name, negated: negated))
      } else {
        return expression
      }
    }
  }

  private mutating func subscripted(
    _ base: TemplateExpression
  ) throws(TokenizerError) -> TemplateExpression {
    var first: TemplateExpression?
    if next != .sign(":") { first = try conditional() }
    guard take(.sign(":")) else {
      try expect("]")
      guard let first else { throw unexpected() }
      return .item(base, first)
    }
    var last: TemplateExpression?
    if next != .sign("]"), next != .sign(":") { last = try conditional() }
    if take(.sign(":")) {
      guard first == nil, last == nil, take(.sign("-")), take(.integer(1)), take(.sign("]")) else {
        throw TemplateLexer.unsupported("a slice with a step")
      }
      return .reversed(base)
    }
    try expect("]")
    return .slice(base, first, last)
  }
}
