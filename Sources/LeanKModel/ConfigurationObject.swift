import ByteIO
package import StrictJSON

/// One object of config.json, read key by key; every failure names the key, what was expected and
/// what was found.
///
/// Null is no value, and no default takes its place, which is for keys that are absent: it is nil where
/// a key is optional, false where one is true or false, and refused else. So do the classes of
/// transformers 5, and those of 4 where version 5 refuses.
package struct ConfigurationObject: Sendable {
  package let value: JSONValue
  package let path: String
  /// Keys of the enclosing objects, each with a dot behind it.
  package var prefix = ""

  package init(value: JSONValue, path: String, prefix: String = "") {
    self.value = value
    self.path = path
    self.prefix = prefix
  }

  /// Whether this is an object inside config.json.
  package var isNested: Bool { !prefix.isEmpty }

  /// Whether `key` is there with a value.
  package func contains(_ key: String) -> Bool { present(key) != nil }

  /// Whether `key` is there, be it null.
  package func mentions(_ key: String) -> Bool { value[key] != nil }

  /// Whether there are no keys.
  package var isEmpty: Bool { value.count == 0 }

  package func isList(_ key: String) -> Bool { value[key]?.kind == .array }

  /// An integer in `range`. Without a `default` the key is required.
  package func integer(
    _ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil
  ) throws(ModelError) -> Int {
    guard let found = value[key] else { return try required(key, fallback) }
    guard found.kind == .number, let text = found.numberText, !text.contains(where: isReal) else {
      throw wrongType(key, "an integer", found)
    }
    guard let number = found.integer, range.contains(number) else {
      throw error(
        .outOfRange,
        "expected \(range.lowerBound) to \(range.upperBound), found \(escaped(text, limit: 30))",
        key)
    }
    return number
  }

  /// An integer in `range`; nil where it is null, `default` where the key is absent.
  package func optionalInteger(
    _ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil
  ) throws(ModelError) -> Int? {
    guard let found = value[key] else { return fallback }
    return found.isNull ? nil : try integer(key, in: range)
  }

  /// A finite number, integers included.
  package func number(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double {
    guard let found = value[key] else { return try required(key, fallback) }
    return try number(found, key)
  }

  /// A finite number above zero.
  package func positive(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double
  {
    let result = try number(key, default: fallback)
    guard result > 0 else {
      throw error(.outOfRange, "expected a number above 0, found \(result)", key)
    }
    return result
  }

  /// A finite number; nil where it is null, `default` where the key is absent.
  package func optionalNumber(
    _ key: String, default fallback: Double? = nil
  ) throws(ModelError) -> Double? {
    guard let found = value[key] else { return fallback }
    return found.isNull ? nil : try number(key)
  }

  package func bool(_ key: String, default fallback: Bool? = nil) throws(ModelError) -> Bool {
    guard let found = value[key] else { return try required(key, fallback) }
    if found.isNull { return false }
    guard let flag = found.bool else { throw wrongType(key, "true or false", found) }
    return flag
  }

  package func string(_ key: String, default fallback: String? = nil) throws(ModelError) -> String {
    guard let found = value[key] else { return try required(key, fallback) }
    guard let text = found.string else { throw wrongType(key, "a string", found) }
    return text
  }

  /// A string, nil where the key is absent.
  package func optionalString(_ key: String) throws(ModelError) -> String? {
    contains(key) ? try string(key) : nil
  }

  /// The members that are objects.
  package func objects() -> [ConfigurationObject] {
    value.children.compactMap { name, member in
      member.kind == .object
        ? ConfigurationObject(value: member, path: path, prefix: prefix + name + ".") : nil
    }
  }

  /// An object, nil where the key is absent.
  package func object(_ key: String) throws(ModelError) -> ConfigurationObject? {
    guard let found = present(key) else { return nil }
    guard found.kind == .object else { throw wrongType(key, "an object", found) }
    return ConfigurationObject(value: found, path: path, prefix: prefix + key + ".")
  }

  /// A list of finite numbers.
  package func numbers(_ key: String) throws(ModelError) -> [Double] {
    try list(key).map { element throws(ModelError) in try number(element, key) }
  }

  /// A list of integers, nil where the key is absent.
  package func optionalIntegers(_ key: String) throws(ModelError) -> [Int]? {
    guard contains(key) else { return nil }
    return try list(key).map { element throws(ModelError) in
      guard let number = element.integer else { throw wrongType(key, "integers", element) }
      return number
    }
  }

  /// A list of strings, nil where the key is absent.
  package func optionalStrings(_ key: String) throws(ModelError) -> [String]? {
    guard contains(key) else { return nil }
    return try list(key).map { element throws(ModelError) in
      guard let text = element.string else { throw wrongType(key, "strings", element) }
      return text
    }
  }

  package func error(_ code: ModelCode, _ detail: String, _ key: String) -> ModelError {
    ModelError(code, detail, at: .key(prefix + key), in: path)
  }

  // MARK: -

  private func present(_ key: String) -> JSONValue? {
    guard let found = value[key], !found.isNull else { return nil }
    return found
  }

  private func required<Value>(
    _ key: String, _ fallback: Value?
  ) throws(ModelError) -> Value {
    guard let fallback else { throw error(.missingKey, "the key is missing", key) }
    return fallback
  }

  private func list(_ key: String) throws(ModelError) -> [JSONValue] {
    guard let found = present(key) else { return try required(key, nil) }
    guard found.kind == .array else { throw wrongType(key, "a list", found) }
    return found.children.map(\.value)
  }

  private func number(_ found: JSONValue, _ key: String) throws(ModelError) -> Double {
    guard found.kind == .number else { throw wrongType(key, "a number", found) }
    guard let number = found.double else {
      throw error(.outOfRange, "expected a finite number", key)
    }
    return number
  }

  private func isReal(_ character: Character) -> Bool {
    character == "." || character == "e" || character == "E"
  }

  private func wrongType(
    _ key: String, _ expected: String, _ found: JSONValue
  ) -> ModelError {
    let shown =
      found.string.map { quoted($0, limit: 40) } ?? found.numberText.map { escaped($0, limit: 30) }
    return error(.wrongType, "expected \(expected), found \(shown ?? found.kind.rawValue)", key)
  }
}
