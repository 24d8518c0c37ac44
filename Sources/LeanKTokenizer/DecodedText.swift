/// What the steps of a decoder do to one piece of text.
enum DecodedText {
  /// The bytes that the characters of a token stand for in GPT-2's alphabet; a token with any other
  /// character stands for itself.
  static func bytes(of piece: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(piece.count)
    let span = piece.span
    var position = 0
    while position < span.count {
      let (value, length) = PatternMachine.scalar(in: span, at: position)
      guard let byte = ByteAlphabet.byte(value) else { return piece }
      bytes.append(byte)
      position += length
    }
    return bytes
  }

  /// The byte of a token `<0xAB>`.
  static func fallbackByte(_ piece: [UInt8]) -> UInt8? {
    guard piece.count == 6, piece.starts(with: Array("<0x".utf8)), piece[5] == 0x3E else {
      return nil
    }
    let digits = String(decoding: piece[3..<5], as: UTF8.self)
    return UInt8(digits, radix: 16)
  }

  /// Takes from `bytes` what is text already, with U+FFFD for what can no longer become UTF-8; the
  /// beginning of a scalar stays.
  static func takeWhole(from bytes: inout [UInt8]) -> [UInt8] {
    var end = bytes.count
    for back in 1...3 where back <= bytes.count {
      let start = bytes.count - back
      guard bytes[start] & 0xC0 != 0x80 else { continue }
      if isBeginning(bytes[start...]) { end = start }
      break
    }
    let whole = bytes[..<end]
    let text = String(validating: whole, as: UTF8.self) ?? String(decoding: whole, as: UTF8.self)
    bytes.removeSubrange(..<end)
    return Array(text.utf8)
  }

  /// Whether `bytes` are the first ones of a scalar's UTF-8 and not all of them.
  private static func isBeginning(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard let first = bytes.first else { return false }
    let length: Int
    switch first {
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF: length = 3
    case 0xF0...0xF4: length = 4
    default: return false
    }
    guard bytes.count < length else { return false }
    guard bytes.count > 1 else { return true }
    // the second byte has fewer values where others would be too long, surrogates or past the end
    let second = bytes[bytes.startIndex + 1]
    return switch first {
    case 0xE0: second >= 0xA0
    case 0xED: second < 0xA0
    case 0xF0: second >= 0x90
    case 0xF4: second < 0x90
    default: true
    }
  }

  /// How many of at most `most` scalars at the start are `scalar`, and how many bytes these take.
  static func leading(
    _ scalar: UInt32, in piece: [UInt8], most: Int
  ) -> (count: Int, bytes: Int) {
    let span = piece.span
    var (count, position) = (0, 0)
    while count < most, position < span.count {
      let (value, length) = PatternMachine.scalar(in: span, at: position)
      guard value == scalar else { break }
      position += length
      count += 1
    }
    return (count, position)
  }

  /// How many bytes at the end are at most `most` scalars `scalar`.
  static func trailing(_ scalar: UInt32, in piece: [UInt8], most: Int) -> Int {
    var text: [UInt8] = []
    appendUTF8(scalar, to: &text)
    var (count, end) = (0, piece.count)
    while count < most, end >= text.count, piece[(end - text.count)..<end].elementsEqual(text) {
      end -= text.count
      count += 1
    }
    return piece.count - end
  }

  static func stripped(_ piece: [UInt8], _ scalar: UInt32, start: Int, stop: Int) -> [UInt8] {
    let from = leading(scalar, in: piece, most: start).bytes
    let to = piece.count - trailing(scalar, in: piece, most: stop)
    return from < to ? Array(piece[from..<to]) : []
  }

  static func replaced(
    _ piece: [UInt8], _ pattern: TextPattern, _ content: [UInt8]
  ) throws(TokenizerError) -> [UInt8] {
    var result: [UInt8] = []
    var rest = 0
    var machine = PatternMachine(budget: PatternMachine.budget(bytes: piece.count))
    try pattern.forEachMatch(in: piece.span, range: 0..<piece.count, with: &machine) {
      result.append(contentsOf: piece[rest..<$0.lowerBound])
      result.append(contentsOf: content)
      rest = $0.upperBound
    }
    result.append(contentsOf: piece[rest...])
    return result
  }

  /// `piece` with spaces for `replacement`, or with nothing for it.
  static func spaced(_ piece: [UInt8], _ replacement: UInt32, drops: Bool) -> [UInt8] {
    var result: [UInt8] = []
    let span = piece.span
    var position = 0
    while position < span.count {
      let (value, length) = PatternMachine.scalar(in: span, at: position)
      if value != replacement {
        for index in position..<position + length { result.append(span[index]) }
      } else if !drops {
        result.append(0x20)
      }
      position += length
    }
    return result
  }
}
