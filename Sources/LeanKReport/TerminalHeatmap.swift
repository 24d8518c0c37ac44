/// Shares as coloured half blocks, two rows of cells in one line of text.
struct TerminalHeatmap {
  /// xterm's 256 colours, dark to light; the first stands for a share of 0.
  private static let ramp = [52, 17, 18, 24, 25, 31, 37, 43, 79, 115, 151, 229]

  /// Shares in 0...1 by row; nil = no such cell.
  let rows: [[Double?]]

  var lines: [String] {
    stride(from: 0, to: rows.count, by: 2).map { index in
      let upper = rows[index]
      let lower = index + 1 < rows.count ? rows[index + 1] : []
      var line = ""
      for column in 0..<max(upper.count, lower.count) {
        let top = column < upper.count ? upper[column] : nil
        let bottom = column < lower.count ? lower[column] : nil
        line += Self.cell(top, bottom)
      }
      return line + "\u{1B}[0m"
    }
  }

  private static func cell(_ top: Double?, _ bottom: Double?) -> String {
    switch (top, bottom) {
    case (nil, nil): "\u{1B}[0m "
    case (let top?, nil): "\u{1B}[0;38;5;\(color(top))m▀"
    case (nil, let bottom?): "\u{1B}[0;38;5;\(color(bottom))m▄"
    case (let top?, let bottom?): "\u{1B}[38;5;\(color(top));48;5;\(color(bottom))m▀"
    }
  }

  private static func color(_ share: Double) -> Int {
    share <= 0 ? ramp[0] : ramp[min(ramp.count - 1, 1 + Int(share * Double(ramp.count - 1)))]
  }

  /// Columns of `  empty`, the strip below, and `full`.
  static let legendWidth = ramp.count + 13

  /// A strip that names the colours.
  static var legend: String {
    ramp.map { "\u{1B}[0;38;5;\($0)m█" }.joined() + "\u{1B}[0m"
  }
}
