/// Axes and marks of the report's charts: one column a category, left to right.
struct ChartFigure {
  static let width = 440.0
  static let height = 250.0
  static let plot = (x: 66.0, y: 16.0, width: 366.0, height: 186.0)

  let columns: Int
  /// Value at the top of the plot; above 0.
  let maximum: Double
  private(set) var content = ""

  /// Widest bar, which a chart of one column would otherwise fill.
  private static let widestBar = 72.0

  /// Draws the frame: lines at a few round values, and names of axes. Where values are counts,
  /// the lines stand at whole numbers.
  init(
    columns: Int, maximum: Double, areCounts: Bool = false, xName: String,
    xLabels: [(column: Double, text: String)], yLabel: (Double) -> String
  ) {
    self.columns = columns
    let ticks = Self.ticks(to: maximum, areWhole: areCounts)
    self.maximum = max(maximum, ticks.last ?? maximum, .leastNormalMagnitude)
    let plot = Self.plot
    for tick in ticks {
      let y = Markup.number(self.y(tick))
      content +=
        "<path class=\"axis\" d=\"M\(Markup.number(plot.x)) \(y)h\(Markup.number(plot.width))\"/>"
      content += "<text class=\"end\" x=\"\(Markup.number(plot.x - 6))\""
      content += " y=\"\(Markup.number(self.y(tick) + 4))\">\(yLabel(tick))</text>"
    }
    for label in xLabels {
      // A letter is at most 9 wide, half of it on either side of the middle.
      let last = Self.width - 4.5 * Double(label.text.count)
      content += "<text class=\"mid\" x=\"\(Markup.number(min(x(label.column), last)))\""
      content +=
        " y=\"\(Markup.number(plot.y + plot.height + 17))\">\(Markup.text(label.text))</text>"
    }
    content += "<text class=\"name mid\" x=\"\(Markup.number(plot.x + plot.width / 2))\""
    content += " y=\"\(Markup.number(plot.y + plot.height + 38))\">\(Markup.text(xName))</text>"
  }

  /// Columns between two labels of `columns` numbered ones, so that neighbours do not touch.
  static func labelStep(_ columns: Int) -> Int {
    var step = 1
    while columns > step * (columns > 100 ? 10 : 16) { step *= 2 }
    return step
  }

  /// Middle of a column, counted from 0.
  func x(_ column: Double) -> Double {
    Self.plot.x + (column + 0.5) / Double(max(1, columns)) * Self.plot.width
  }

  func y(_ value: Double) -> Double {
    Self.plot.y + Self.plot.height * (1 - value / maximum)
  }

  /// A bar in each column from `base` to `base + values`, of a style class.
  mutating func addBars(_ values: [Double], over base: [Double]? = nil, style: String) {
    let slot = Self.plot.width / Double(max(1, columns))
    let bar = min(Self.widestBar, slot > 4 ? slot - min(3, slot * 0.25) : slot)
    content += "<g class=\"bar \(style)\">"
    for (column, value) in values.enumerated() where value > 0 {
      let bottom = base?[column] ?? 0
      let top = y(bottom + value)
      content +=
        "<rect x=\"\(Markup.number(x(Double(column)) - bar / 2))\" y=\"\(Markup.number(top))\""
      content += " width=\"\(Markup.number(bar))\""
      content += " height=\"\(Markup.number(max(0.5, y(bottom) - top)))\"/>"
    }
    content += "</g>"
  }

  /// A line through one value a column.
  mutating func addCurve(_ values: [Double], style: String) {
    let points = values.enumerated().map { column, value in
      "\(Markup.number(x(Double(column)))) \(Markup.number(y(value)))"
    }
    content +=
      "<path class=\"curve \(style)\" style=\"fill:none\" d=\"M\(points.joined(separator: "L"))\"/>"
    for (column, value) in values.enumerated() {
      content += "<circle class=\"\(style)\" r=\"2.5\" cx=\"\(Markup.number(x(Double(column))))\""
      content += " cy=\"\(Markup.number(y(value)))\"/>"
    }
  }

  /// Marks at any places, each with a hover text, and a line through them from left to right. `x`
  /// counts columns from 0 as `x(_:)` does.
  mutating func addPoints(_ points: [(x: Double, y: Double, text: String)], style: String) {
    let places = points.map { ("\(Markup.number(x($0.x)))", "\(Markup.number(y($0.y)))") }
    let line = places.map { "\($0) \($1)" }.joined(separator: "L")
    content += "<path class=\"curve \(style)\" style=\"fill:none\" d=\"M\(line)\"/>"
    for (place, point) in zip(places, points) {
      content += "<circle class=\"\(style)\" r=\"4\" cx=\"\(place.0)\" cy=\"\(place.1)\">"
      content += "<title>\(Markup.text(point.text))</title></circle>"
    }
  }

  /// A dashed horizontal line at a value, with its name above it.
  mutating func addLevel(_ value: Double, name: String) {
    let plot = Self.plot
    content += "<path class=\"mark\" d=\"M\(Markup.number(plot.x)) \(Markup.number(y(value)))"
    content += "h\(Markup.number(plot.width))\"/>"
    let below = y(value) < plot.y + 16
    content += "<text class=\"name\" x=\"\(Markup.number(plot.x + 6))\""
    content += " y=\"\(Markup.number(y(value) + (below ? 15 : -6)))\">\(Markup.text(name))</text>"
  }

  /// A dashed vertical line at a fraction of the plot's width, with its name beside it.
  mutating func addMark(at fraction: Double, name: String) {
    let plot = Self.plot
    let x = plot.x + min(1, max(0, fraction)) * plot.width
    content += "<path class=\"mark\" d=\"M\(Markup.number(x)) \(Markup.number(plot.y))"
    content += "v\(Markup.number(plot.height))\"/>"
    let isLeft = fraction > 0.55
    content +=
      "<text class=\"name\(isLeft ? " end" : "")\" x=\"\(Markup.number(x + (isLeft ? -6 : 6)))\""
    content += " y=\"\(Markup.number(plot.y + 11))\">\(Markup.text(name))</text>"
  }

  /// Round values from 0 to at least `maximum`, seven at most.
  private static func ticks(to maximum: Double, areWhole: Bool) -> [Double] {
    guard maximum > 0, maximum.isFinite else { return [0, 1] }
    var unit = 1.0
    while unit * 10 <= maximum { unit *= 10 }
    while unit > maximum { unit /= 10 }
    let steps = [0.2, 0.5, 1, 2].map { $0 * unit }.filter { !areWhole || $0 >= 1 }
    let step = steps.first { maximum / $0 <= 6 } ?? 2 * unit
    let count = Int((maximum / step).rounded(.up))
    return (0...max(1, count)).map { Double($0) * step }
  }
}
