import Foundation

/// Numbers for people; `--json` has the exact ones.
enum Formatting {
  /// `31.25 %`
  static func percent(_ ratio: Double) -> String {
    String(format: "%.2f %%", ratio * 100)
  }

  /// `1,016,960`
  static func count(_ value: Int) -> String {
    var digits = Array(String(value.magnitude))
    var position = digits.count - 3
    while position > 0 {
      digits.insert(",", at: position)
      position -= 3
    }
    return (value < 0 ? "-" : "") + String(digits)
  }

  /// `3.20 KB`: decimal units, as storage is sold and shards are cut.
  static func bytes(_ value: Int) -> String {
    var amount = Double(value)
    for unit in ["B", "KB", "MB", "GB", "TB"] {
      if abs(amount) < 999.5 || unit == "TB" {
        return unit == "B"
          ? "\(value) B" : String(format: amount < 10 ? "%.2f %@" : "%.1f %@", amount, unit)
      }
      amount /= 1000
    }
    return "\(value) B"
  }

  /// `0.1234`
  static func decimal(_ value: Double) -> String { String(format: "%.4f", value) }

  /// `1.2e-05`
  static func scientific(_ value: Double) -> String {
    value == 0 ? "0" : String(format: "%.2g", value)
  }

  /// `label`, padded to the column where values begin.
  static func row(_ label: String, _ value: String) -> String {
    label.padding(toLength: 12, withPad: " ", startingAt: 0) + value
  }

  /// A bar of eighths for a share in 0...1, `width` characters long.
  static func bar(_ share: Double, width: Int) -> String {
    let eighths = Int((share * Double(width) * 8).rounded())
    let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
    let drawn = String(repeating: "█", count: eighths / 8) + partial
    return drawn.padding(toLength: width, withPad: " ", startingAt: 0)
  }
}
