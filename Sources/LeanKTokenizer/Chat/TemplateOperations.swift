import ByteIO

/// Operators, filters and methods of chat templates.
enum TemplateOperations {
  static func binary(
    _ sign: String, _ left: TemplateValue, _ right: TemplateValue
  ) throws(TokenizerError) -> TemplateValue {
    switch sign {
    case "==", "!=":
      guard let equal = left.equals(right) else {
        throw TemplateLexer.unsupported("a comparison of objects")
      }
      return .bool(equal == (sign == "=="))
    case "in": return .bool(try contains(left, in: right))
    case "not in": return .bool(!(try contains(left, in: right)))
    case "~":
      guard let left = left.text, let right = right.text else {
        throw TemplateLexer.unsupported("a text of what is no text")
      }
      return .string(left + right)
    case "+":
      if case .string(let left) = left, case .string(let right) = right {
        return .string(left + right)
      }
      if case .list(let left) = left, case .list(let right) = right {
        return .list(left + right)
      }
    default: break
    }
    guard let left = left.number, let right = right.number else {
      throw TokenizerError(
        .messages,
        "the chat template computes \(quoted(sign)) of values that these messages do not have; give the text the model expects with --prompt"
      )
    }
    return try arithmetic(sign, left, right)
  }

  private static func arithmetic(
    _ sign: String, _ left: Int, _ right: Int
  ) throws(TokenizerError) -> TemplateValue {
    var result: (partialValue: Int, overflow: Bool)
    switch sign {
    case "<": return .bool(left < right)
    case ">": return .bool(left > right)
    case "<=": return .bool(left <= right)
    case ">=": return .bool(left >= right)
    case "+": result = left.addingReportingOverflow(right)
    case "-": result = left.subtractingReportingOverflow(right)
    case "*": result = left.multipliedReportingOverflow(by: right)
    case "%":
      result = left.remainderReportingOverflow(dividingBy: right)
      // Python's remainder has the sign of the divisor
      if !result.overflow, result.partialValue != 0, (result.partialValue < 0) != (right < 0) {
        result.partialValue += right
      }
    default: throw TemplateLexer.unsupported("the operator \(quoted(sign))")
    }
    guard !result.overflow else { throw TemplateLexer.unsupported("a number of more than 64 bits") }
    return .integer(result.partialValue)
  }

  private static func contains(
    _ item: TemplateValue, in container: TemplateValue
  ) throws(TokenizerError) -> Bool {
    switch (container, item) {
    case (.list(let list), _):
      for element in list where item.equals(element) == true { return true }
      return false
    case (.dictionary, .string(let name)): return container.member(name) != nil
    case (.string(let text), .string(let part)): return ranges(of: part, in: text).first != nil
    case (.undefined, _): return false
    default: throw TemplateLexer.unsupported("\"in\" of another kind")
    }
  }

  static let methods: Set = [
    "strip", "lstrip", "rstrip", "split", "startswith", "endswith", "upper", "lower", "replace",
  ]

  static func call(
    _ name: String, of base: TemplateValue, _ values: [TemplateValue]
  ) throws(TokenizerError) -> TemplateValue {
    if name == "get", case .string(let key)? = values.first, values.count <= 2 {
      return base.member(key) ?? (values.count == 2 ? values[1] : .none)
    }
    if name == "items", values.isEmpty, case .dictionary(let members) = base {
      return .list(members.map { .list([.string($0.key), $0.value]) })
    }
    guard case .string(let text) = base else { throw unknown("method", name) }
    var texts: [String] = []
    for value in values {
      guard case .string(let text) = value else { throw unknown("method", name) }
      texts.append(text)
    }
    switch (name, texts.count) {
    case ("strip", 0): return .string(stripped(text, left: true, right: true))
    case ("lstrip", 0): return .string(stripped(text, left: true, right: false))
    case ("rstrip", 0): return .string(stripped(text, left: false, right: true))
    case ("strip", 1): return .string(stripped(text, left: true, right: true, of: texts[0]))
    case ("lstrip", 1): return .string(stripped(text, left: true, right: false, of: texts[0]))
    case ("rstrip", 1): return .string(stripped(text, left: false, right: true, of: texts[0]))
    case ("split", 1) where !texts[0].isEmpty:
      var parts: [TemplateValue] = []
      var rest = 0
      let bytes = Array(text.utf8)
      for range in ranges(of: texts[0], in: text) {
        parts.append(.string(String(decoding: bytes[rest..<range.lowerBound], as: UTF8.self)))
        rest = range.upperBound
      }
      return .list(parts + [.string(String(decoding: bytes[rest...], as: UTF8.self))])
    case ("startswith", 1): return .bool(text.utf8.starts(with: texts[0].utf8))
    case ("endswith", 1):
      return .bool(text.utf8.reversed().starts(with: texts[0].utf8.reversed()))
    case ("upper", 0): return .string(text.uppercased())
    case ("lower", 0): return .string(text.lowercased())
    case ("replace", 2) where !texts[0].isEmpty: return .string(replaced(text, texts[0], texts[1]))
    default: throw unknown("method", name)
    }
  }

  static func filter(
    _ name: String, _ base: TemplateValue, _ values: [TemplateValue]
  ) throws(TokenizerError) -> TemplateValue {
    switch (name, base) {
    case ("trim", .string(let text)) where values.isEmpty:
      return .string(stripped(text, left: true, right: true))
    case ("length", .list(let list)), ("count", .list(let list)): return .integer(list.count)
    case ("length", .string(let text)), ("count", .string(let text)):
      return .integer(text.unicodeScalars.count)
    case ("first", .list(let list)): return list.first ?? .undefined
    case ("last", .list(let list)): return list.last ?? .undefined
    case ("list", .list): return base
    case ("string", _):
      guard let text = base.text else { throw unknown("filter", name) }
      return .string(text)
    case ("default", _) where values.count == 1: return base.isDefined ? base : values[0]
    case ("upper", .string), ("lower", .string), ("replace", .string):
      return try call(name, of: base, values)
    case ("safe", _) where values.isEmpty: return base
    default: throw unknown("filter", name)
    }
  }

  /// Whether `value` is what `is NAME` asks for.
  static func test(_ name: String, _ value: TemplateValue) throws(TokenizerError) -> Bool {
    switch name {
    case "defined": return value.isDefined
    case "undefined": return !value.isDefined
    case "none": if case .none = value { return true } else { return false }
    case "string": if case .string = value { return true } else { return false }
    case "mapping": if case .dictionary = value { return true } else { return false }
    case "true": if case .bool(true) = value { return true } else { return false }
    case "false": if case .bool(false) = value { return true } else { return false }
    case "iterable", "sequence":
      switch value {
      case .string, .list, .dictionary: return true
      case .undefined: return true
      default: return false
      }
    default: throw TemplateLexer.unsupported("a test \(quoted(name))")
    }
  }

  private static func unknown(_ kind: String, _ name: String) -> TokenizerError {
    TemplateLexer.unsupported("a \(kind) \(quoted(name))")
  }

  /// Where `part` stands in `text`, from left to right.
  private static func ranges(of part: String, in text: String) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    let bytes = Array(text.utf8)
    let pattern = TextPattern.literal(Array(part.utf8))
    guard !part.isEmpty else { return [0..<0] }
    var machine = PatternMachine(budget: 0)
    // a literal takes no steps that could run out
    try? pattern.forEachMatch(in: bytes.span, range: 0..<bytes.count, with: &machine) {
      ranges.append($0)
    }
    return ranges
  }

  private static func replaced(_ text: String, _ part: String, _ new: String) -> String {
    var result: [UInt8] = []
    var rest = 0
    let bytes = Array(text.utf8)
    for range in ranges(of: part, in: text) {
      result += bytes[rest..<range.lowerBound]
      result += new.utf8
      rest = range.upperBound
    }
    return String(decoding: result + bytes[rest...], as: UTF8.self)
  }

  /// Without what Python takes for white space at its ends, or without the characters `of`.
  private static func stripped(
    _ text: String, left: Bool, right: Bool, of characters: String? = nil
  ) -> String {
    let set = characters.map { Array($0.unicodeScalars) }
    func isStripped(_ scalar: UnicodeScalar) -> Bool {
      if let set { return set.contains(scalar) }
      return scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }
    var scalars = Array(text.unicodeScalars)[...]
    while left, let first = scalars.first, isStripped(first) { scalars.removeFirst() }
    while right, let last = scalars.last, isStripped(last) { scalars.removeLast() }
    return TemplateLexer.string(scalars)
  }
}
