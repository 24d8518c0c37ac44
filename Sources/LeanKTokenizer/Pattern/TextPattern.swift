/// What a Split or a Replace looks for: a text, or a regular expression.
enum TextPattern: Sendable {
  /// Longest text of a pattern in bytes.
  static let sizeLimit = 1 << 16

  case literal([UInt8])
  case expression(PatternProgram)

  init(expression text: String) throws(TokenizerError) {
    self = .expression(try PatternProgram(try PatternParser.parse(text)))
  }

  /// A pattern of leank's own, which compiles.
  static func node(_ node: PatternNode) -> TextPattern {
    (try? PatternProgram(node)).map { .expression($0) } ?? .literal([])
  }

  /// Calls `found` with the range of each match in `range`, from left to right; none overlap.
  func forEachMatch(
    in bytes: Span<UInt8>, range: Range<Int>, with machine: inout PatternMachine,
    _ found: (Range<Int>) -> Void
  ) throws(TokenizerError) {
    switch self {
    case .literal(let text):
      guard let first = text.first else { return }
      var position = range.lowerBound
      while position + text.count <= range.upperBound {
        if bytes[position] == first, Self.isText(text, in: bytes, at: position) {
          found(position..<position + text.count)
          position += text.count
        } else {
          position += 1
        }
      }
    case .expression(let program):
      var position = range.lowerBound
      while position < range.upperBound {
        let byte = bytes[position]
        if program.first.admits(byte),
          let end = try machine.match(program, in: bytes, range: range, at: position)
        {
          found(position..<end)
          position = end
        } else {
          position += byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
        }
      }
    }
  }

  private static func isText(_ text: [UInt8], in bytes: Span<UInt8>, at position: Int) -> Bool {
    for offset in text.indices where bytes[position + offset] != text[offset] { return false }
    return true
  }
}
