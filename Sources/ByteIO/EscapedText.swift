/// `text` made safe to print: control characters and invisible formatting escaped, cut after
/// `limit` bytes.
public func escaped(_ text: String, limit: Int = 200) -> String {
  var result = ""
  var length = 0
  for scalar in text.unicodeScalars {
    let piece: String
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
      .unassigned:
      piece = "\\u{" + String(scalar.value, radix: 16) + "}"
    default:
      piece = scalar == "\\" ? "\\\\" : String(scalar)
    }
    length += piece.utf8.count
    guard length <= limit else { return result + "..." }
    result += piece
  }
  return result
}

/// `text` escaped, in double quotes.
public func quoted(_ text: String, limit: Int = 200) -> String {
  "\"" + escaped(text, limit: limit) + "\""
}
