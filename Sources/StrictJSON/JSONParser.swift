import ByteIO

/// Builds the arena of a `JSONDocument` with an explicit stack of open containers.
struct JSONParser {
  private(set) var nodes: [JSONDocument.Node] = []
  private let valueLimit: Int
  private let combiningLimit: Int
  private var offset = 0
  /// Open containers, outermost first.
  private var open: [Container] = []

  /// The last string that was not plain, decoded.
  private var decoded: [UInt8] = []

  init(valueLimit: Int, combiningLimit: Int) {
    self.valueLimit = valueLimit
    self.combiningLimit = combiningLimit
  }

  private struct Container {
    var node: Int
    var lastChild = -1
    var isObject: Bool
    var keys = JSONKeys()
  }

  mutating func parse(_ bytes: Span<UInt8>) throws(JSONError) {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      throw JSONError(.byteOrderMark, "JSON begins with a byte-order mark", at: .byte(0))
    }
    // room for all that may come, which costs memory only once it is used
    nodes.reserveCapacity(min(valueLimit, bytes.count / 2 + 1))
    try value(in: bytes, key: 0)
    while !open.isEmpty { try member(in: bytes) }
    skipSpace(in: bytes)
    guard offset == bytes.count else {
      throw JSONError(.trailingText, "text after the JSON value", at: .byte(offset))
    }
  }

  /// Reads the next member or element of the innermost container, or its end.
  private mutating func member(in bytes: Span<UInt8>) throws(JSONError) {
    // a copy of the container would share its keys, and each key then copy all before it
    let innermost = open.count - 1
    let isObject = open[innermost].isObject
    let isFirst = open[innermost].lastChild < 0
    skipSpace(in: bytes)
    if peek(bytes) == (isObject ? 0x7D : 0x5D) {
      offset += 1
      nodes[open[innermost].node].end = UInt32(offset)
      open.removeLast()
      return
    }
    if !isFirst {
      try expect(0x2C, isObject ? "\",\" or \"}\"" : "\",\" or \"]\"", in: bytes)
      skipSpace(in: bytes)
    }
    var key = 0
    if isObject {
      key = offset
      guard peek(bytes) == 0x22 else { throw unexpected("a key in double quotes", in: bytes) }
      let plain = try string(in: bytes)
      let isNew: Bool
      if let plain {
        isNew = open[innermost].keys.insert(bytes.extracting(plain), at: key, in: bytes)
      } else {
        let name = decoded
        isNew = open[innermost].keys.insert(name.span, at: key, in: bytes)
      }
      guard isNew else {
        let name = plain.map { bytes.copy($0) } ?? decoded
        throw JSONError(
          .duplicateKey, "key \(quoted(String(decoding: name, as: UTF8.self))) appears twice",
          at: .byte(key))
      }
      skipSpace(in: bytes)
      try expect(0x3A, "\":\"", in: bytes)
    }
    try value(in: bytes, key: key)
  }

  /// Reads a scalar, or opens a container.
  private mutating func value(in bytes: Span<UInt8>, key: Int) throws(JSONError) {
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
      let node = try append(start..<offset, key)
      open.append(Container(node: node, isObject: isObject))
    case 0x22:
      _ = try string(in: bytes)
      try append(start..<offset, key)
    case 0x74: try literal("true", in: bytes, key: key)
    case 0x66: try literal("false", in: bytes, key: key)
    case 0x6E: try literal("null", in: bytes, key: key)
    default:
      try number(in: bytes)
      try append(start..<offset, key)
    }
  }

  @discardableResult
  private mutating func append(_ range: Range<Int>, _ key: Int) throws(JSONError) -> Int {
    let index = nodes.count
    guard index < valueLimit else {
      throw JSONError(
        .tooManyValues, "more than \(valueLimit) JSON values", at: .byte(range.lowerBound))
    }
    nodes.append(
      .init(
        start: UInt32(range.lowerBound), end: UInt32(range.upperBound), key: UInt32(key), next: 0))
    if !open.isEmpty {
      let sibling = open[open.count - 1].lastChild
      if sibling >= 0 { nodes[sibling].next = UInt32(index) }
      open[open.count - 1].lastChild = index
    }
    return index
  }

  private mutating func literal(
    _ word: String, in bytes: Span<UInt8>, key: Int
  ) throws(JSONError) {
    let start = offset
    guard bytes.starts(with: Array(word.utf8), at: offset) else {
      throw unexpected("a value", in: bytes)
    }
    offset += word.utf8.count
    try append(start..<offset, key)
  }

  /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
  private mutating func number(in bytes: Span<UInt8>) throws(JSONError) {
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

  /// Reads past a string whose opening quote is at the cursor: where it stands if nothing in it is
  /// escaped, else it is left in `decoded`.
  private mutating func string(in bytes: Span<UInt8>) throws(JSONError) -> Range<Int>? {
    var scanner = JSONStringScanner(offset: offset, combiningLimit: combiningLimit)
    let plain = try scanner.skip(in: bytes, decodingInto: &decoded)
    offset = scanner.offset
    return plain
  }
}
