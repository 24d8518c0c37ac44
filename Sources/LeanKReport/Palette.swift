/// Colours of all pictures, for a light and for a dark page.
enum Palette {
  /// Steps of a heatmap above zero.
  static let steps = 12

  struct Color {
    var red: Double
    var green: Double
    var blue: Double

    init(_ hex: UInt32) {
      red = Double(hex >> 16 & 0xFF)
      green = Double(hex >> 8 & 0xFF)
      blue = Double(hex & 0xFF)
    }

    func mixed(with other: Color, _ share: Double) -> Color {
      var result = self
      result.red += (other.red - red) * share
      result.green += (other.green - green) * share
      result.blue += (other.blue - blue) * share
      return result
    }

    var hex: String {
      "#"
        + [red, green, blue].map { part in
          let digits = String(Int(part.rounded()), radix: 16)
          return digits.count < 2 ? "0" + digits : digits
        }.joined()
    }
  }

  /// Colours a ramp passes through, least first.
  private static func ramp(_ stops: [UInt32]) -> [String] {
    let colors = stops.map(Color.init)
    return (0..<steps).map { step in
      let position = Double(step) / Double(steps - 1) * Double(colors.count - 1)
      let index = min(colors.count - 2, Int(position))
      return colors[index].mixed(with: colors[index + 1], position - Double(index)).hex
    }
  }

  private struct Theme {
    var page: String
    var card: String
    var ink: String
    var muted: String
    var line: String
    var accent: String
    var second: String
    var third: String
    var zero: String
    var kept: [String]
    var score: [String]

    /// Custom properties: `--k1` ... for kept shares, `--s1` ... for scores.
    var css: String {
      var css =
        "--page:\(page);--card:\(card);--ink:\(ink);--muted:\(muted);--line:\(line);"
        + "--accent:\(accent);--second:\(second);--third:\(third);--zero:\(zero);"
      for (index, color) in kept.enumerated() { css += "--k\(index + 1):\(color);" }
      for (index, color) in score.enumerated() { css += "--s\(index + 1):\(color);" }
      return css
    }
  }

  private static let light = Theme(
    page: "#f6f7f9", card: "#ffffff", ink: "#17202a", muted: "#586574", line: "#d9dee5",
    accent: "#1f6fb2", second: "#b35412", third: "#7a8794", zero: "#f3ddd3",
    kept: ramp([0xDCEBF7, 0x8FC1E3, 0x3787C0, 0x0B4F8A, 0x06264D]),
    score: ramp([0xF1EDF7, 0xC9B8E0, 0x9673C4, 0x653AA0, 0x31125F]))

  private static let dark = Theme(
    page: "#10151b", card: "#182029", ink: "#e8edf2", muted: "#9aa8b6", line: "#303c48",
    accent: "#62b0ea", second: "#f0a060", third: "#8493a1", zero: "#4a2a22",
    kept: ramp([0x1D3448, 0x22587F, 0x2E86BE, 0x72BCEB, 0xD6EFFF]),
    score: ramp([0x2B2440, 0x4C3B78, 0x7B5CBB, 0xAE93E3, 0xE9DFFF]))

  /// Style rules that set the theme on `selector`, and the classes that pictures use.
  static func css(for selector: String) -> String {
    var css = "\(selector){\(light.css)}"
    css += "@media(prefers-color-scheme:dark){\(selector){\(dark.css)}}"
    for step in 1...steps {
      css += ".k\(step){fill:var(--k\(step));stroke:var(--k\(step))}"
      css += ".s\(step){fill:var(--s\(step));stroke:var(--s\(step))}"
    }
    css += ".k0,.s0{fill:var(--zero);stroke:var(--zero)}"
    css += ".cells{stroke-width:0}.runs{fill:none}.edge{fill:none;stroke:var(--line)}"
    css += ".axis{stroke:var(--line);stroke-width:1}.split{stroke:var(--card);stroke-width:1}"
    css += "svg text{fill:var(--muted);font:12px system-ui,sans-serif}"
    css += "svg .name{fill:var(--ink)}.end{text-anchor:end}.mid{text-anchor:middle}"
    css += ".a{fill:var(--accent);stroke:var(--accent)}.b{fill:var(--second);stroke:var(--second)}"
    css += ".c{fill:var(--third);stroke:var(--third)}.bar{stroke-width:0}.faint{opacity:.4}"
    css += ".curve{fill:none;stroke-width:2.5}.mark{stroke:var(--second);stroke-width:1.5;"
    css += "stroke-dasharray:4 3}.bg{fill:var(--page)}"
    return css
  }
}
