/// What an expression of a chat template computes.
indirect enum TemplateValue: Sendable {
  /// A name that nothing has been given to.
  case undefined
  case none
  case bool(Bool)
  case integer(Int)
  case string(String)
  case list([TemplateValue])
  case dictionary([(key: String, value: TemplateValue)])
  /// A namespace, whose members templates may set: its place among the renderer's.
  case namespace(Int)
  /// Something that can be called: a global function, or a method of a text.
  case function(String)
  case method(String, of: TemplateValue)

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let bool): bool
    case .integer(let integer): integer != 0
    case .string(let string): !string.isEmpty
    case .list(let list): !list.isEmpty
    case .dictionary(let members): !members.isEmpty
    case .namespace, .function, .method: true
    }
  }

  var isDefined: Bool { if case .undefined = self { false } else { true } }

  /// Whether both are the same to Python; nil where that is not known here.
  func equals(_ other: TemplateValue) -> Bool? {
    switch (self, other) {
    case (.undefined, .undefined), (.none, .none): true
    case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
    case (.list(let left), .list(let right)):
      left.count == right.count && zip(left, right).allSatisfy { $0.equals($1) == true }
    case (.dictionary, .dictionary), (.namespace, _), (.function, _), (.method, _): nil
    default: if let left = number, let right = other.number { left == right } else { false }
    }
  }

  /// The number that an integer or a truth value is.
  var number: Int? {
    switch self {
    case .integer(let integer): integer
    case .bool(let bool): bool ? 1 : 0
    default: nil
    }
  }

  func member(_ name: String) -> TemplateValue? {
    guard case .dictionary(let members) = self else { return nil }
    return members.last { $0.key.utf8.elementsEqual(name.utf8) }?.value
  }

  /// As the template writes it; nil for what no template writes.
  var text: String? {
    switch self {
    case .undefined: ""
    case .none: "None"
    case .bool(let bool): bool ? "True" : "False"
    case .integer(let integer): String(integer)
    case .string(let string): string
    case .list, .dictionary, .namespace, .function, .method: nil
    }
  }
}
