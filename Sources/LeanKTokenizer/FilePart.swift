import ByteIO
import StrictJSON

/// One object of a tokenizer's file, with the words for what is wrong in it.
struct FilePart {
  /// Longest name of a kind in bytes, longest text of a setting.
  static let nameLimit = 64
  static let textLimit = 1 << 16

  let value: JSONValue
  let path: String?
  /// Keys and places that lead to it.
  let place: String

  init(_ value: JSONValue, _ place: String, path: String?) throws(TokenizerError) {
    self.value = value
    self.path = path
    self.place = place
    guard value.kind == .object else {
      throw TokenizerError(
        .wrongType, "expected an object, found \(value.kind.rawValue)", at: .key(place), in: path)
    }
  }

  func key(_ name: String) -> String { place.isEmpty ? name : place + "." + name }

  func error(_ code: TokenizerCode, _ text: String, at name: String? = nil) -> TokenizerError {
    let place = name.map(key) ?? self.place
    return TokenizerError(code, text, at: place.isEmpty ? nil : .key(place), in: path)
  }

  private func wrongType(
    _ name: String, expected: String, _ found: JSONValue
  ) -> TokenizerError {
    error(.wrongType, "expected \(expected), found \(found.kind.rawValue)", at: name)
  }

  /// The value of a key that is there and not null.
  func member(_ name: String) -> JSONValue? {
    value[name].flatMap { $0.isNull ? nil : $0 }
  }

  func required(_ name: String) throws(TokenizerError) -> JSONValue {
    guard let member = member(name) else {
      throw error(.missingKey, "the key is missing", at: name)
    }
    return member
  }

  func part(_ name: String) throws(TokenizerError) -> FilePart? {
    guard let member = member(name) else { return nil }
    return try FilePart(member, key(name), path: path)
  }

  /// The objects of a list that is there, at most `limit` of them.
  func parts(_ name: String, limit: Int = 64) throws(TokenizerError) -> [FilePart] {
    let list = try required(name)
    guard list.kind == .array else { throw wrongType(name, expected: "a list", list) }
    var parts: [FilePart] = []
    for (index, value) in list.values.enumerated() {
      guard index < limit else { throw error(.tooLarge, "more than \(limit) entries", at: name) }
      parts.append(try FilePart(value, "\(key(name))[\(index)]", path: path))
    }
    return parts
  }

  /// A text of at most `limit` bytes.
  func text(
    _ name: String, limit: Int = FilePart.textLimit
  ) throws(TokenizerError) -> String? {
    guard let member = member(name) else { return nil }
    guard member.kind == .string else { throw wrongType(name, expected: "a text", member) }
    guard member.byteRange.count <= 6 * limit, let text = member.string,
      text.utf8.count <= limit
    else { throw error(.tooLarge, "a text of more than \(limit) bytes", at: name) }
    return text
  }

  func requiredText(_ name: String) throws(TokenizerError) -> String {
    guard let text = try text(name) else {
      throw error(.missingKey, "the key is missing", at: name)
    }
    return text
  }

  /// The name of a kind.
  func kind(_ name: String = "type") throws(TokenizerError) -> String {
    guard let text = try text(name, limit: Self.nameLimit) else {
      throw error(.missingKey, "the key is missing", at: name)
    }
    return text
  }

  func bool(_ name: String, default fallback: Bool? = nil) throws(TokenizerError) -> Bool {
    guard let member = member(name) else {
      guard let fallback else { throw error(.missingKey, "the key is missing", at: name) }
      return fallback
    }
    guard let bool = member.bool else { throw wrongType(name, expected: "true or false", member) }
    return bool
  }

  /// An integer from 0 up to `limit`.
  func integer(_ name: String, limit: Int) throws(TokenizerError) -> Int {
    let member = try required(name)
    guard member.kind == .number else { throw wrongType(name, expected: "an integer", member) }
    guard let integer = member.integer, (0...limit).contains(integer) else {
      throw error(.outOfRange, "expected an integer from 0 to \(limit)", at: name)
    }
    return integer
  }

  /// A text of exactly one scalar.
  func scalar(_ name: String) throws(TokenizerError) -> UnicodeScalar {
    let text = try requiredText(name)
    guard let scalar = text.unicodeScalars.first, text.unicodeScalars.count == 1 else {
      throw error(.outOfRange, "expected one character", at: name)
    }
    return scalar
  }

  /// What a `pattern` says: a text, or a regular expression.
  func pattern(_ name: String = "pattern") throws(TokenizerError) -> TextPattern {
    guard let part = try part(name) else {
      throw error(.missingKey, "the key is missing", at: name)
    }
    if let text = try part.text("String", limit: TextPattern.sizeLimit) {
      return .literal(Array(text.utf8))
    }
    guard let text = try part.text("Regex", limit: TextPattern.sizeLimit) else {
      throw part.error(.missingKey, "expected a key \"String\" or \"Regex\"")
    }
    do throws(TokenizerError) {
      return try TextPattern(expression: text)
    } catch {
      throw TokenizerError(error.code, error.detail, at: .key(key(name)), in: path)
    }
  }

  /// A kind that leank does not compute.
  func unsupported(_ kind: String, _ what: String) -> TokenizerError {
    error(.unsupportedPart, "\(what) \(quoted(kind)) is not something leank computes")
  }

  /// A setting whose value changes what is computed, and leank does not.
  func unsupportedValue(_ name: String, _ text: String) -> TokenizerError {
    error(.unsupportedPart, text, at: name)
  }
}
