import ByteIO

/// Helpers for XML, of which the HTML written here is a subset too.
enum Markup {
  /// `text` as character data or an attribute's value, control characters made visible and percent
  /// signs tied to their numbers.
  static func text(_ text: String, limit: Int = 4096) -> String {
    var result = ""
    var wasSpace = false
    for scalar in escaped(text, limit: limit).unicodeScalars {
      if wasSpace { result += scalar == "%" ? "\u{A0}" : " " }
      wasSpace = scalar == " "
      switch scalar {
      case " ": break
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return wasSpace ? result + " " : result
  }

  /// `text` as a JSON string that may stand inside an HTML script element.
  static func json(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "<", ">", "&", "'", "\u{0}"..."\u{1F}", "\u{2028}", "\u{2029}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// A size whose number and unit stay on one line.
  static func bytes(_ value: Int) -> String {
    Formatting.bytes(value).replacing(" ", with: "\u{A0}")
  }

  /// A coordinate: at most two decimals.
  static func number(_ value: Double) -> String { Formatting.short(value, digits: 2) }
}
