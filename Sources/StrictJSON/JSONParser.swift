import ByteIO

/// Builds the arena of a `JSONDocument` with an explicit stack of open containers.
struct JSONParser {
  private(set) var nodes: [JSONDocument.Node] = []
  private var offset = 0
  /// Open containers, outermost first.
  private var open: [Container] = []

  private struct Container {
    var node: Int
    var lastChild = -1
    var isObject: Bool
    var keys: Set<String> = []
  }

  mutating func parse(_ bytes: Span<UInt8>) throws(JSONError) {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      throw JSONError(.byteOrderMark, "JSON begins with a byte-order mark", at: .byte(0))
    }
    try value(in: bytes, key: "")
    while let container = open.last {
      try member(of: container, in: bytes)
    }
    skipSpace(in: bytes)
    guard offset == bytes.count else {
      throw JSONError(.trailingText, "text after the JSON value", at: .byte(offset))
    }
  }

  /// Reads the next member or element of the innermost container, or its end.
  private mutating func member(of container: Container, in bytes: Span<UInt8>) throws(JSONError) {
    let isFirst = container.lastChild < 0
    let closer: UInt8 = container.isObject ? 0x7D : 0x5D
    skipSpace(in: bytes)
    if peek(bytes) == closer {
      offset += 1
      nodes[container.node].range = nodes[container.node].range.lowerBound..<offset
      open.removeLast()
      return
    }
    if !isFirst {
      try expect(0x2C, container.isObject ? "\",\" or \"}\"" : "\",\" or \"]\"", in: bytes)
      skipSpace(in: bytes)
    }
    var key = ""
    if container.isObject {
      let start = offset
      guard peek(bytes) == 0x22 else { throw unexpected("a key in double quotes", in: bytes) }
      key = try string(in: bytes)
      guard open[open.count - 1].keys.insert(key).inserted else {
        throw JSONError(.duplicateKey, "key \(quoted(key)) appears twice", at: .byte(start))
      }
      skipSpace(in: bytes)
      try expect(0x3A, "\":\"", in: bytes)
    }
    try value(in: bytes, key: key)
  }

  /// Reads a scalar, or opens a container.
  private mutating func value(in bytes: Span<UInt8>, key: String) throws(JSONError) {
    skipSpace(in: bytes)
    let start = offset
    guard let first = peek(bytes) else { throw unexpected("a value", in: bytes) }
    switch first {
    case 0x7B, 0x5B:
      guard open.count < JSONDocument.depthLimit else {
        throw JSONError(
          .tooDeep, "nesting deeper than \(JSONDocument.depthLimit)", at: .byte(start))
      }
      offset += 1
      let isObject = first == 0x7B
      let node = append(isObject ? .object : .array, start..<offset, "", key)
      open.append(Container(node: node, isObject: isObject))
    case 0x22:
      let text = try string(in: bytes)
      append(.string, start..<offset, text, key)
    case 0x74: try literal("true", .bool, in: bytes, key: key)
    case 0x66: try literal("false", .bool, in: bytes, key: key)
    case 0x6E: try literal("null", .null, in: bytes, key: key)
    default:
      let text = try number(in: bytes)
      append(.number, start..<offset, text, key)
    }
  }

  @discardableResult
  private mutating func append(
    _ kind: JSONKind, _ range: Range<Int>, _ text: String, _ key: String
  ) -> Int {
    let index = nodes.count
    nodes.append(
      .init(kind: kind, range: range, text: text, key: key, firstChild: -1, next: -1, count: 0))
    if let parent = open.last {
      if parent.lastChild < 0 {
        nodes[parent.node].firstChild = index
      } else {
        nodes[parent.lastChild].next = index
      }
      nodes[parent.node].count += 1
      open[open.count - 1].lastChild = index
    }
    return index
  }

  private mutating func literal(
    _ word: String, _ kind: JSONKind, in bytes: Span<UInt8>, key: String
  ) throws(JSONError) {
    let start = offset
    guard bytes.starts(with: Array(word.utf8), at: offset) else {
      throw unexpected("a value", in: bytes)
    }
    offset += word.utf8.count
    append(kind, start..<offset, word, key)
  }

  /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
  private mutating func number(in bytes: Span<UInt8>) throws(JSONError) -> String {
    let start = offset
    if peek(bytes) == 0x2D { offset += 1 }
    let leadingZero = peek(bytes) == 0x30
    let integerDigits = digits(in: bytes)
    guard integerDigits > 0 else {
      if offset == start { throw unexpected("a value", in: bytes) }
      throw JSONError(.invalidNumber, "number without digits", at: .byte(start))
    }
    guard !leadingZero || integerDigits == 1 else {
      throw JSONError(.invalidNumber, "number with a leading zero", at: .byte(start))
    }
    if peek(bytes) == 0x2E {
      offset += 1
      guard digits(in: bytes) > 0 else {
        throw JSONError(.invalidNumber, "number without digits after its point", at: .byte(start))
      }
    }
    if peek(bytes) == 0x65 || peek(bytes) == 0x45 {
      offset += 1
      if peek(bytes) == 0x2B || peek(bytes) == 0x2D { offset += 1 }
      guard digits(in: bytes) > 0 else {
        throw JSONError(.invalidNumber, "number without digits in its exponent", at: .byte(start))
      }
    }
    return String(decoding: bytes.copy(start..<offset), as: UTF8.self)
  }

  private mutating func digits(in bytes: Span<UInt8>) -> Int {
    let start = offset
    while let byte = peek(bytes), (0x30...0x39).contains(byte) { offset += 1 }
    return offset - start
  }

  private func peek(_ bytes: Span<UInt8>) -> UInt8? {
    offset < bytes.count ? bytes[offset] : nil
  }

  private mutating func skipSpace(in bytes: Span<UInt8>) {
    while let byte = peek(bytes), byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
      offset += 1
    }
  }

  private mutating func expect(
    _ byte: UInt8, _ name: String, in bytes: Span<UInt8>
  ) throws(JSONError) {
    guard peek(bytes) == byte else { throw unexpected(name, in: bytes) }
    offset += 1
  }

  private func unexpected(_ expected: String, in bytes: Span<UInt8>) -> JSONError {
    guard let byte = peek(bytes) else {
      return JSONError(.unexpectedEnd, "JSON ends where \(expected) should be", at: .byte(offset))
    }
    let found =
      byte < 0x80 ? quoted(String(UnicodeScalar(byte))) : "byte 0x" + String(byte, radix: 16)
    return JSONError(
      .unexpectedCharacter, "expected \(expected), found \(found)", at: .byte(offset))
  }
}

// MARK: - Strings

extension JSONParser {
  /// Reads a string whose opening quote is at the cursor.
  mutating func string(in bytes: Span<UInt8>) throws(JSONError) -> String {
    let start = offset
    offset += 1
    var decoded: [UInt8] = []
    while true {
      guard let byte = peek(bytes) else {
        throw JSONError(.unexpectedEnd, "JSON ends inside a string", at: .byte(start))
      }
      switch byte {
      case 0x22:
        offset += 1
        guard let text = String(validating: decoded, as: UTF8.self) else {
          throw JSONError(.notUTF8, "string is not UTF-8", at: .byte(start))
        }
        return text
      case 0x5C:
        try escape(into: &decoded, in: bytes)
      case 0..<0x20:
        throw JSONError(
          .controlCharacter, "unescaped control character 0x\(String(byte, radix: 16)) in a string",
          at: .byte(offset))
      default:
        decoded.append(byte)
        offset += 1
      }
    }
  }

  fileprivate mutating func escape(
    into decoded: inout [UInt8], in bytes: Span<UInt8>
  ) throws(JSONError) {
    let start = offset
    offset += 1
    guard let byte = peek(bytes) else {
      throw JSONError(.unexpectedEnd, "JSON ends inside an escape", at: .byte(start))
    }
    offset += 1
    switch byte {
    case 0x22, 0x5C, 0x2F: decoded.append(byte)
    case 0x62: decoded.append(0x08)
    case 0x66: decoded.append(0x0C)
    case 0x6E: decoded.append(0x0A)
    case 0x72: decoded.append(0x0D)
    case 0x74: decoded.append(0x09)
    case 0x75:
      let scalar = try unicodeEscape(from: start, in: bytes)
      decoded.append(contentsOf: String(scalar).utf8)
    default:
      throw JSONError(.invalidEscape, "unknown escape in a string", at: .byte(start))
    }
  }

  /// The scalar of `\uXXXX`, or of two of them for a surrogate pair; `\u` has been read.
  fileprivate mutating func unicodeEscape(
    from start: Int, in bytes: Span<UInt8>
  ) throws(JSONError) -> UnicodeScalar {
    let first = try fourDigits(from: start, in: bytes)
    if let scalar = UnicodeScalar(first) { return scalar }
    guard first < 0xDC00, peek(bytes) == 0x5C, bytes.starts(with: [0x5C, 0x75], at: offset) else {
      throw JSONError(.loneSurrogate, "unpaired surrogate in a string", at: .byte(start))
    }
    offset += 2
    let second = try fourDigits(from: start, in: bytes)
    guard (0xDC00..<0xE000).contains(second),
      let scalar = UnicodeScalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else {
      throw JSONError(.loneSurrogate, "unpaired surrogate in a string", at: .byte(start))
    }
    return scalar
  }

  fileprivate mutating func fourDigits(
    from start: Int, in bytes: Span<UInt8>
  ) throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(bytes) else {
        throw JSONError(.unexpectedEnd, "JSON ends inside an escape", at: .byte(start))
      }
      let digit: UInt8
      switch byte {
      case 0x30...0x39: digit = byte - 0x30
      case 0x41...0x46: digit = byte - 0x41 + 10
      case 0x61...0x66: digit = byte - 0x61 + 10
      default:
        throw JSONError(.invalidEscape, "\\u needs four hexadecimal digits", at: .byte(start))
      }
      value = value << 4 | UInt32(digit)
      offset += 1
    }
    return value
  }
}
