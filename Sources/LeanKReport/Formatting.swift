/// Numbers for people; JSON has the exact ones. Nothing here depends on a locale.
public enum Formatting {
  /// `31.25 %`
  public static func percent(_ ratio: Double, digits: Int = 2) -> String {
    fixed(ratio * 100, digits: digits) + " %"
  }

  /// `1,016,960`
  public static func count(_ value: Int) -> String {
    var digits = Array(String(value.magnitude))
    var position = digits.count - 3
    while position > 0 {
      digits.insert(",", at: position)
      position -= 3
    }
    return (value < 0 ? "-" : "") + String(digits)
  }

  /// `3.20 KB`: decimal units, as storage is sold and shards are cut.
  public static func bytes(_ value: Int) -> String {
    guard value.magnitude >= 1000 else { return "\(value) B" }
    var amount = Double(value)
    for unit in ["B", "KB", "MB", "GB"] {
      if abs(amount) < 999.5 {
        return fixed(amount, digits: abs(amount) < 9.995 ? 2 : 1) + " " + unit
      }
      amount /= 1000
    }
    return fixed(amount, digits: 1) + " TB"
  }

  /// `0:05`, `12:34`, `1:02:03`: what is begun of a second counts.
  public static func clock(seconds: Double) -> String {
    let whole = Int(exactly: min(max(0, seconds), 1e9).rounded(.up)) ?? 0
    func twoDigits(_ value: Int) -> String { (value < 10 ? "0" : "") + String(value) }
    let (hours, minutes) = (whole / 3600, whole / 60 % 60)
    return (hours > 0 ? "\(hours):\(twoDigits(minutes))" : "\(minutes)") + ":"
      + twoDigits(whole % 60)
  }

  /// `0.1234`
  public static func decimal(_ value: Double) -> String { fixed(value, digits: 4) }

  /// `1.2e-05`, `0.5422`: at most `digits` significant digits, as printf's `%g` writes them.
  public static func scientific(_ value: Double, digits: Int = 2) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : "\(value)" }
    var mantissa = abs(value)
    var exponent = 0
    while mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
    while mantissa < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
    if trimmed(fixed(mantissa, digits: digits - 1)) == "10" {
      (mantissa, exponent) = (1, exponent + 1)
    }
    let sign = value < 0 ? "-" : ""
    if (-4..<digits).contains(exponent) {
      return sign + trimmed(fixed(abs(value), digits: max(0, digits - 1 - exponent)))
    }
    let power = String(exponent.magnitude)
    return sign + trimmed(fixed(mantissa, digits: digits - 1)) + (exponent < 0 ? "e-" : "e+")
      + (power.count < 2 ? "0" : "") + power
  }

  /// `value` with `digits` decimals, such as `0.50`; halves are rounded away from zero.
  public static func fixed(_ value: Double, digits: Int) -> String {
    var scale: UInt64 = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = (abs(value) * Double(scale)).rounded()
    guard let units = UInt64(exactly: scaled) else { return "\(value)" }
    let sign = value < 0 && units > 0 ? "-" : ""
    guard digits > 0 else { return sign + String(units) }
    let fraction = String(units % scale)
    let zeros = String(repeating: "0", count: digits - fraction.count)
    return "\(sign)\(units / scale).\(zeros)\(fraction)"
  }

  /// `value` with at most `digits` decimals and no trailing zero: `0.5`, `12`.
  public static func short(_ value: Double, digits: Int = 2) -> String {
    trimmed(fixed(value, digits: digits))
  }

  private static func trimmed(_ text: String) -> String {
    guard text.contains("."), !text.contains("e") else { return text }
    var text = text
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }

  /// `label`, padded to the column where values begin.
  public static func row(_ label: String, _ value: String) -> String {
    padded(label, to: 12) + value
  }

  /// The rows of a label whose value may need more than one line.
  public static func rows(_ label: String, _ value: String) -> [String] {
    wrapped(value, width: valueWidth).enumerated().map { row($0 == 0 ? label : "", $1) }
  }

  /// Columns of a value beside its label.
  static let valueWidth = 90

  /// `text` with spaces after it, or before it, up to `width` characters.
  public static func padded(_ text: String, to width: Int, onTheLeft: Bool = false) -> String {
    let spaces = String(repeating: " ", count: max(0, width - text.count))
    return onTheLeft ? spaces + text : text + spaces
  }

  /// `text` cut at spaces into lines of at most `width` characters, longer words aside.
  public static func wrapped(_ text: String, width: Int) -> [String] {
    var lines = [""]
    for word in text.split(separator: " ") {
      let last = lines.count - 1
      if lines[last].isEmpty {
        lines[last] += word
      } else if lines[last].count + 1 + word.count > width {
        lines.append(String(word))
      } else {
        lines[last] += " " + word
      }
    }
    return lines
  }

  /// A bar of eighths for a share in 0...1, `width` characters long.
  public static func bar(_ share: Double, width: Int) -> String {
    let eighths = Int((min(1, max(0, share)) * Double(width) * 8).rounded())
    let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
    return padded(String(repeating: "█", count: eighths / 8) + partial, to: width)
  }

  /// One character a share in 0...1, from `▁` to `█`; a share of 0 is `·`. Beyond `limit` characters
  /// each stands for the mean of equally many neighbours.
  public static func sparkline(_ shares: [Double], limit: Int = .max) -> String {
    let levels = Array("▁▂▃▄▅▆▇█")
    let step = (shares.count - 1) / limit + 1
    return String(
      stride(from: 0, to: shares.count, by: step).map { first in
        let part = shares[first..<min(shares.count, first + step)]
        let share = part.reduce(0, +) / Double(part.count)
        return share > 0 ? levels[min(7, Int(min(1, share) * 8))] : "·"
      })
  }
}
