/// A step that changes the text before it is split.
enum Normalizer: Sendable {
  case form(NormalForms.Form)
  /// Each scalar on its own, whatever stands around it.
  case lowercase
  /// Before a text that is not empty.
  case prepend([UInt8])
  case replace(TextPattern, [UInt8])
  case strip(left: Bool, right: Bool)

  /// `text`, which is valid UTF-8, changed by one step after the other.
  static func apply(
    _ steps: [Normalizer], to text: [UInt8], _ workspace: inout Workspace
  ) throws(TokenizerError) -> [UInt8] {
    var text = text
    for step in steps {
      text = try step.apply(to: text, &workspace)
      guard text.count <= Tokenizer.textLimit else { throw Tokenizer.tooLong() }
    }
    return text
  }

  private func apply(
    to text: [UInt8], _ workspace: inout Workspace
  ) throws(TokenizerError) -> [UInt8] {
    switch self {
    case .form(let form): return workspace.forms.apply(form, to: text)
    case .lowercase: return Self.lowercase(text)
    case .prepend(let prefix): return text.isEmpty ? text : prefix + text
    case .replace(let pattern, let content):
      var result: [UInt8] = []
      result.reserveCapacity(text.count)
      var rest = 0
      var isTooLong = false
      try pattern.forEachMatch(in: text.span, range: 0..<text.count, with: &workspace.machine) {
        guard result.count <= Tokenizer.textLimit else {
          isTooLong = true
          return
        }
        result.append(contentsOf: text[rest..<$0.lowerBound])
        result.append(contentsOf: content)
        rest = $0.upperBound
      }
      guard !isTooLong else { throw Tokenizer.tooLong() }
      result.append(contentsOf: text[rest...])
      return result
    case .strip(let left, let right):
      let bytes = text.span
      var start = 0
      var end = text.count
      while left, start < end {
        let (value, length) = PatternMachine.scalar(in: bytes, at: start)
        guard ScalarClass.space.contains(value) else { break }
        start += length
      }
      while right, end > start {
        var last = end - 1
        while bytes[last] & 0xC0 == 0x80 { last -= 1 }
        guard ScalarClass.space.contains(PatternMachine.scalar(in: bytes, at: last).value) else {
          break
        }
        end = last
      }
      return Array(text[start..<end])
    }
  }

  private static func lowercase(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    let bytes = text.span
    var position = 0
    while position < bytes.count {
      let byte = bytes[position]
      if byte < 0x80 {
        result.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
        position += 1
        continue
      }
      let (value, length) = PatternMachine.scalar(in: bytes, at: position)
      position += length
      guard let scalar = UnicodeScalar(value) else { continue }
      result.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
    }
    return result
  }
}
