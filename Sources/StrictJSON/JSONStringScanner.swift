import ByteIO

/// Decodes JSON strings: resolves escapes and checks that what comes out is UTF-8.
struct JSONStringScanner {
  var offset: Int
  /// Most combining characters in a row.
  var combiningLimit = Int.max

  /// Reads a string whose opening quote is at the cursor.
  mutating func string(in bytes: Span<UInt8>) throws(JSONError) -> String {
    let start = offset
    var decoded: [UInt8] = []
    try utf8(in: bytes, into: &decoded)
    guard let text = String(validating: decoded, as: UTF8.self) else {
      throw JSONError(.notUTF8, "string is not UTF-8", at: .byte(start))
    }
    return text
  }

  /// Reads past a string whose opening quote is at the cursor and checks all of it; where it stands
  /// between its quotes if nothing in it is escaped.
  mutating func skip(
    in bytes: Span<UInt8>, decodingInto decoded: inout [UInt8]
  ) throws(JSONError) -> Range<Int>? {
    let start = offset
    if let (end, isASCII) = unescapedEnd(in: bytes, from: start + 1) {
      let range = start + 1..<end
      offset = end + 1
      if !isASCII { try check(bytes.extracting(range), from: start) }
      return range
    }
    decoded.removeAll(keepingCapacity: true)
    try utf8(in: bytes, into: &decoded)
    try check(decoded.span, from: start)
    return nil
  }

  /// Checks what the string at `start` says. Only a limit on combining characters takes a copy of it.
  private func check(_ text: Span<UInt8>, from start: Int) throws(JSONError) {
    do {
      _ = try UTF8Span(validating: text)
    } catch {
      throw JSONError(.notUTF8, "string is not UTF-8", at: .byte(start))
    }
    guard combiningLimit < .max else { return }
    let copy = String(decoding: text.copy(0..<text.count), as: UTF8.self)
    guard !hasLongCombiningRun(copy, limit: combiningLimit) else {
      throw JSONError(
        .combiningRun, "string with more than \(combiningLimit) combining characters in a row",
        at: .byte(start))
    }
  }

  /// The closing quote of a string without escapes, from its first byte on, and whether it is ASCII.
  private func unescapedEnd(in bytes: Span<UInt8>, from first: Int) -> (end: Int, isASCII: Bool)? {
    var end = first
    var all: UInt8 = 0
    while end < bytes.count {
      let byte = bytes[end]
      if byte == 0x22 { return (end, all < 0x80) }
      guard byte >= 0x20, byte != 0x5C else { return nil }
      all |= byte
      end += 1
    }
    return nil
  }

  /// Appends what the string says whose opening quote is at the cursor, whether UTF-8 or not.
  mutating func utf8(
    in bytes: Span<UInt8>, into decoded: inout [UInt8]
  ) throws(JSONError) {
    let start = offset
    offset += 1
    while true {
      guard let byte = peek(bytes) else {
        throw JSONError(.unexpectedEnd, "JSON ends inside a string", at: .byte(start))
      }
      switch byte {
      case 0x22:
        offset += 1
        return
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

  private mutating func escape(
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
  private mutating func unicodeEscape(
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

  private mutating func fourDigits(
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

  private func peek(_ bytes: Span<UInt8>) -> UInt8? {
    offset < bytes.count ? bytes[offset] : nil
  }
}
