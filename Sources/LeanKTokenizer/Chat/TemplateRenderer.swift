import ByteIO

/// Runs a chat template. What it meets and does not know ends the rendering: nothing is rendered by
/// half.
struct TemplateRenderer {
  /// Most statements and expressions that a rendering takes, and most bytes that it writes.
  static let stepLimit = 1_000_000
  static let outputLimit = 64 << 20

  private(set) var output = ""
  private var scopes: [[String: TemplateValue]]
  private var namespaces: [[String: TemplateValue]] = []
  private var steps = 0
  private var size = 0
  private let today: ChatDate

  init(variables: [String: TemplateValue], today: ChatDate) {
    scopes = [variables]
    self.today = today
  }

  mutating func run(_ statements: [TemplateStatement]) throws(TokenizerError) {
    for statement in statements {
      try step()
      switch statement {
      case .text(let text): try write(text)
      case .output(let expression):
        guard let text = try value(expression).text else {
          throw TemplateLexer.unsupported("a list or an object to write")
        }
        try write(text)
      case .conditional(let branches):
        for branch in branches {
          if let condition = branch.condition, !(try value(condition).isTrue) { continue }
          try run(branch.body)
          break
        }
      case .loop(let variables, let expression, let condition, let body, let otherwise):
        try loop(variables, expression, condition, body, otherwise)
      case .assignment(let name, let member, let expression):
        try assign(name, member, try value(expression))
      case .capture(let name, let body):
        let outer = output
        output = ""
        try run(body)
        try assign(name, nil, .string(output))
        output = outer
      }
    }
  }

  private mutating func step() throws(TokenizerError) {
    steps += 1
    guard steps <= Self.stepLimit else {
      throw TokenizerError(.tooLarge, "the chat template takes more than \(Self.stepLimit) steps")
    }
  }

  /// A value that has been computed, counted as what is written is: else texts that are put
  /// together again and again would fill the memory.
  private mutating func charged(_ value: TemplateValue) throws(TokenizerError) -> TemplateValue {
    switch value {
    case .string(let text): try charge(text.utf8.count)
    case .list(let list): try charge(16 * list.count)
    default: break
    }
    return value
  }

  private mutating func write(_ text: String) throws(TokenizerError) {
    try charge(text.utf8.count)
    output += text
  }

  private mutating func charge(_ bytes: Int) throws(TokenizerError) {
    size += bytes
    guard size <= Self.outputLimit else {
      throw TokenizerError(
        .tooLarge, "the chat template writes more than \(Self.outputLimit) bytes")
    }
  }

  private mutating func assign(
    _ name: String, _ member: String?, _ value: TemplateValue
  ) throws(TokenizerError) {
    guard let member else {
      scopes[scopes.count - 1][name] = value
      return
    }
    guard case .namespace(let index) = lookUp(name) else {
      throw TemplateLexer.unsupported("\(quoted(name + "." + member)) set outside a namespace")
    }
    namespaces[index][member] = value
  }

  private func lookUp(_ name: String) -> TemplateValue {
    for scope in scopes.reversed() { if let value = scope[name] { return value } }
    return Self.functions.contains(name) ? .function(name) : .undefined
  }

  private static let functions: Set = ["raise_exception", "strftime_now", "namespace", "range"]

  private mutating func loop(
    _ variables: [String], _ expression: TemplateExpression, _ condition: TemplateExpression?,
    _ body: [TemplateStatement], _ otherwise: [TemplateStatement]
  ) throws(TokenizerError) {
    var items: [TemplateValue]
    switch try value(expression) {
    case .list(let list): items = list
    case .undefined: items = []
    default: throw TemplateLexer.unsupported("a loop over what is no list")
    }
    if let condition {
      var chosen: [TemplateValue] = []
      for item in items {
        scopes.append(try Self.bound(item, to: variables))
        if try value(condition).isTrue { chosen.append(item) }
        scopes.removeLast()
      }
      items = chosen
    }
    for (index, item) in items.enumerated() {
      let loop: [(key: String, value: TemplateValue)] = [
        ("index0", .integer(index)), ("index", .integer(index + 1)), ("first", .bool(index == 0)),
        ("last", .bool(index == items.count - 1)), ("length", .integer(items.count)),
        ("revindex", .integer(items.count - index)),
        ("revindex0", .integer(items.count - index - 1)),
        ("previtem", index > 0 ? items[index - 1] : .undefined),
        ("nextitem", index + 1 < items.count ? items[index + 1] : .undefined),
      ]
      var scope = try Self.bound(item, to: variables)
      scope["loop"] = .dictionary(loop)
      scopes.append(scope)
      try run(body)
      scopes.removeLast()
    }
    if items.isEmpty { try run(otherwise) }
  }

  /// What each turn of a loop gives its names: the item, or its parts.
  private static func bound(
    _ item: TemplateValue, to names: [String]
  ) throws(TokenizerError) -> [String: TemplateValue] {
    guard names.count > 1 else { return names.first.map { [$0: item] } ?? [:] }
    guard case .list(let parts) = item, parts.count == names.count else {
      throw TemplateLexer.unsupported("a loop over several names and other items")
    }
    return Dictionary(zip(names, parts)) { $1 }
  }

  mutating func value(_ expression: TemplateExpression) throws(TokenizerError) -> TemplateValue {
    try step()
    switch expression {
    case .string(let text): return .string(text)
    case .integer(let number): return .integer(number)
    case .bool(let bool): return .bool(bool)
    case .none: return .none
    case .name(let name): return lookUp(name)
    case .list(let items):
      var values: [TemplateValue] = []
      for item in items { values.append(try value(item)) }
      return .list(values)
    case .dictionary(let pairs):
      var members: [(key: String, value: TemplateValue)] = []
      for (key, item) in pairs {
        guard case .string(let key) = try value(key) else {
          throw TemplateLexer.unsupported("an object whose keys are no texts")
        }
        members.append((key, try value(item)))
      }
      return .dictionary(members)
    case .attribute(let base, let name): return try attribute(name, of: try value(base))
    case .item(let base, let index): return try item(try value(index), of: try value(base))
    case .slice(let base, let first, let last):
      return try slice(try value(base), try bound(first), try bound(last))
    case .reversed(let base):
      switch try value(base) {
      case .list(let list): return .list(list.reversed())
      case .string(let text):
        return .string(TemplateLexer.string(Array(text.unicodeScalars.reversed())[...]))
      default: throw TemplateLexer.unsupported("a slice of what is neither a list nor a text")
      }
    case .call(let function, let arguments): return try call(try value(function), arguments)
    case .filter(let base, let name, let arguments):
      return try filter(name, try value(base), arguments)
    case .test(let base, let name, let negated):
      return .bool(try TemplateOperations.test(name, try value(base)) != negated)
    case .not(let inner): return .bool(!(try value(inner).isTrue))
    case .negative(let inner):
      guard case .integer(let number) = try value(inner), number > .min else {
        throw TemplateLexer.unsupported("the negative of what is no integer")
      }
      return .integer(-number)
    case .binary("and", let left, let right):
      let first = try value(left)
      return first.isTrue ? try value(right) : first
    case .binary("or", let left, let right):
      let first = try value(left)
      return first.isTrue ? first : try value(right)
    case .binary(let sign, let left, let right):
      return try charged(TemplateOperations.binary(sign, try value(left), try value(right)))
    case .conditional(let condition, let then, let otherwise):
      if try value(condition).isTrue { return try value(then) }
      return try otherwise.map { e throws(TokenizerError) in try value(e) } ?? .undefined
    }
  }

  private mutating func bound(_ expression: TemplateExpression?) throws(TokenizerError) -> Int? {
    guard let expression else { return nil }
    switch try value(expression) {
    case .integer(let number): return number
    case .none: return nil
    default: throw TemplateLexer.unsupported("a slice between what are no integers")
    }
  }

  private func attribute(
    _ name: String, of base: TemplateValue
  ) throws(TokenizerError) -> TemplateValue {
    switch base {
    case .undefined: throw Self.missing(name)
    case .dictionary:
      if let member = base.member(name) { return member }
      return name == "get" || name == "items" ? .method(name, of: base) : .undefined
    case .namespace(let index): return namespaces[index][name] ?? .undefined
    case .string:
      return TemplateOperations.methods.contains(name) ? .method(name, of: base) : .undefined
    default: return .undefined
    }
  }

  private func item(
    _ index: TemplateValue, of base: TemplateValue
  ) throws(TokenizerError) -> TemplateValue {
    switch (base, index) {
    case (.dictionary, .string(let name)): return base.member(name) ?? .undefined
    case (.namespace(let place), .string(let name)): return namespaces[place][name] ?? .undefined
    case (.list(let list), .integer(let index)):
      let place = index < 0 ? list.count + index : index
      return list.indices.contains(place) ? list[place] : .undefined
    case (.list, .string): return .undefined
    // a part of a text's parts, which templates ask for where texts are lists
    case (.string, .string): return .undefined
    case (.string(let text), .integer(let index)):
      let scalars = Array(text.unicodeScalars)
      let place = index < 0 ? scalars.count + index : index
      return scalars.indices.contains(place) ? .string(String(scalars[place])) : .undefined
    case (.none, _): return .undefined
    case (.undefined, _): throw Self.missing(index.text ?? "")
    default: throw TemplateLexer.unsupported("an item of another kind")
    }
  }

  private static func missing(_ name: String) -> TokenizerError {
    TokenizerError(
      .messages,
      "the chat template asks for \(quoted(name)) of what these messages do not have; give the text the model expects with --prompt"
    )
  }

  private func slice(
    _ base: TemplateValue, _ first: Int?, _ last: Int?
  ) throws(TokenizerError) -> TemplateValue {
    guard case .list(let list) = base else {
      guard case .string(let text) = base else {
        throw TemplateLexer.unsupported("a slice of what is neither a list nor a text")
      }
      let scalars = Array(text.unicodeScalars)
      let range = Self.range(scalars.count, first, last)
      return .string(TemplateLexer.string(scalars[range]))
    }
    return .list(Array(list[Self.range(list.count, first, last)]))
  }

  /// The places of a slice, which may count from the end and reach past it.
  private static func range(_ count: Int, _ first: Int?, _ last: Int?) -> Range<Int> {
    func place(_ bound: Int) -> Int {
      bound < 0 ? max(0, count + max(bound, -count)) : min(bound, count)
    }
    let start = first.map(place) ?? 0
    return start..<max(start, last.map(place) ?? count)
  }

  private mutating func values(
    _ arguments: TemplateExpression.Arguments
  ) throws(TokenizerError) -> [TemplateValue] {
    guard arguments.named.isEmpty else {
      throw TemplateLexer.unsupported("a function with named arguments")
    }
    var values: [TemplateValue] = []
    for argument in arguments.values { values.append(try value(argument)) }
    return values
  }

  private mutating func call(
    _ function: TemplateValue, _ arguments: TemplateExpression.Arguments
  ) throws(TokenizerError) -> TemplateValue {
    switch function {
    case .function("namespace"):
      guard arguments.values.isEmpty, namespaces.count < 1024 else {
        throw TemplateLexer.unsupported("a namespace of another form")
      }
      var members: [String: TemplateValue] = [:]
      for (name, expression) in arguments.named { members[name] = try value(expression) }
      namespaces.append(members)
      return .namespace(namespaces.count - 1)
    case .function("raise_exception"):
      let text = try values(arguments).first?.text ?? ""
      throw TokenizerError(
        .messages, "the chat template does not take these messages: \(quoted(text))")
    case .function("strftime_now"):
      guard case .string(let format) = try values(arguments).first else {
        throw TemplateLexer.unsupported("a date without a format")
      }
      return .string(try today.formatted(format))
    case .method(let name, let base):
      return try charged(TemplateOperations.call(name, of: base, try values(arguments)))
    default: throw TemplateLexer.unsupported("a call of another function")
    }
  }

  private mutating func filter(
    _ name: String, _ base: TemplateValue, _ arguments: TemplateExpression.Arguments
  ) throws(TokenizerError) -> TemplateValue {
    try charged(TemplateOperations.filter(name, base, try values(arguments)))
  }
}
