/// A grid of shares, drawn as one picture.
struct HeatmapFigure {
  enum Ramp: String {
    case kept = "k"
    case score = "s"
  }

  /// What a cell's own hover text says; only for pictures without a script.
  typealias CellText = (_ row: Int, _ column: Int) -> String

  /// Cells beyond this are merged with their neighbours.
  static let limit = (rows: 512, columns: 2048)
  static let left = 46.0
  static let top = 34.0

  var rowName: String
  var columnName: String
  let rows: Int
  let columns: Int
  /// Row by row, in 0...1; NaN = no such cell.
  let shares: [Double]
  /// How many of the original rows and columns a cell stands for.
  let merged: (rows: Int, columns: Int)
  var cell: (width: Double, height: Double)
  var ramp = Ramp.kept
  /// Columns between two lines that separate heads; 0 = none.
  var split = 0

  init(
    rowName: String, columnName: String, rows: Int, columns: Int, shares: [Double],
    cell: (width: Double, height: Double)
  ) {
    self.rowName = rowName
    self.columnName = columnName
    self.cell = cell
    let down = (rows + Self.limit.rows - 1) / Self.limit.rows
    let across = (columns + Self.limit.columns - 1) / Self.limit.columns
    merged = (max(1, down), max(1, across))
    guard down > 1 || across > 1 else {
      (self.rows, self.columns, self.shares) = (rows, columns, shares)
      return
    }
    var means: [Double] = []
    for firstRow in stride(from: 0, to: rows, by: down) {
      for firstColumn in stride(from: 0, to: columns, by: across) {
        var sum = 0.0
        var count = 0.0
        for row in firstRow..<min(rows, firstRow + down) {
          for column in firstColumn..<min(columns, firstColumn + across) {
            let share = shares[row * columns + column]
            if !share.isNaN { (sum, count) = (sum + share, count + 1) }
          }
        }
        means.append(count > 0 ? sum / count : .nan)
      }
    }
    self.rows = (rows + down - 1) / down
    self.columns = (columns + across - 1) / across
    self.shares = means
  }

  /// What a cell stands for where it is not one of each.
  var mergedNote: String {
    guard merged != (1, 1) else { return "" }
    return " A cell is the mean of \(counted(merged.rows, rowName)) by "
      + "\(counted(merged.columns, columnName)): leank inspect --json has each."
  }

  var width: Double { Self.left + Double(columns) * cell.width + 8 }
  var height: Double { Self.top + Double(rows) * cell.height + 8 }

  /// 0 for a share of 0, else 1 to `Palette.steps`; nil where there is no cell.
  private func level(row: Int, column: Int) -> Int? {
    let share = shares[row * columns + column]
    guard !share.isNaN else { return nil }
    if ramp == .kept, share <= 0 { return 0 }
    return Self.level(of: share)
  }

  /// The elements of the picture, its upper left corner at 0, 0.
  func content(cellText: CellText? = nil) -> String {
    var markup = "<text class=\"name\" x=\"\(Markup.number(Self.left))\" y=\"12\">"
    markup += "\(columnName) →</text><text class=\"name\" x=\"0\" y=\"28\">\(rowName)</text>"
    markup += cellText.map(cells) ?? runs
    if split > 0 {
      for column in stride(from: split, to: columns, by: split) {
        let x = Markup.number(Self.left + Double(column) * cell.width)
        markup += "<path class=\"split\" d=\"M\(x) \(Markup.number(Self.top))"
        markup += "v\(Markup.number(Double(rows) * cell.height))\"/>"
      }
    }
    return markup + ticks
  }

  private func cells(_ text: CellText) -> String {
    let gap = cell.width >= 8 && cell.height >= 8 ? 1.0 : 0
    let size =
      "h\(Markup.number(cell.width - gap))v\(Markup.number(cell.height - gap))"
      + "h-\(Markup.number(cell.width - gap))z"
    var markup = "<g class=\"cells\" shape-rendering=\"crispEdges\">"
    for row in 0..<rows {
      for column in 0..<columns {
        guard let level = level(row: row, column: column) else { continue }
        let x = Markup.number(Self.left + Double(column) * cell.width)
        let y = Markup.number(Self.top + Double(row) * cell.height)
        markup += "<path class=\"\(ramp.rawValue)\(level)\" d=\"M\(x) \(y)\(size)\">"
        markup += "<title>\(text(row, column))</title></path>"
      }
    }
    return markup + "</g>"
  }

  /// Equal neighbours of a row as one stroke, all strokes of a level as one path: small, and drawn fast.
  private var runs: String {
    var paths = [String](repeating: "", count: Palette.steps + 1)
    let gap = cell.height >= 8 ? 1.0 : 0
    let cellGap = gap > 0 && cell.width >= 8 ? 1.0 : 0
    for row in 0..<rows {
      let y = Markup.number(Self.top + (Double(row) + 0.5) * cell.height - gap / 2)
      var column = 0
      while column < columns {
        guard let level = level(row: row, column: column) else {
          column += 1
          continue
        }
        let first = column
        repeat {
          column += 1
        } while cellGap == 0 && column < columns && self.level(row: row, column: column) == level
        let x = Markup.number(Self.left + Double(first) * cell.width)
        paths[level] += "M\(x) \(y)h\(Markup.number(Double(column - first) * cell.width - cellGap))"
      }
    }
    var markup =
      "<g class=\"runs\" shape-rendering=\"crispEdges\" stroke-width=\"\(Markup.number(cell.height - gap))\">"
    for (level, path) in paths.enumerated() where !path.isEmpty {
      markup += "<path class=\"runs \(ramp.rawValue)\(level)\" style=\"fill:none\" d=\"\(path)\"/>"
    }
    return markup + "</g>"
  }

  /// Numbers of rows and columns, at most one every 14 and every 34 units.
  private var ticks: String {
    func step(_ size: Double, apart: Double) -> Int {
      [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].first { Double($0) * size >= apart } ?? 1024
    }
    var markup = ""
    let rowStep = step(cell.height, apart: 14)
    for row in stride(from: 0, to: rows, by: rowStep) {
      let y = Markup.number(Self.top + (Double(row) + 0.5) * cell.height + 4)
      markup += "<text class=\"end\" x=\"\(Markup.number(Self.left - 6))\" y=\"\(y)\">"
      markup += "\(row * merged.rows)</text>"
    }
    let columnStep = split > 0 ? split : step(cell.width, apart: 34)
    let head = split > 0
    for column in stride(from: 0, to: columns, by: columnStep) {
      let x = Self.left + (Double(column) + (head ? Double(split) / 2 : 0.5)) * cell.width
      markup += "<text class=\"mid\" x=\"\(Markup.number(x))\" y=\"28\">"
      markup += "\(head ? column / split : column * merged.columns)</text>"
    }
    return markup
  }

  /// The colours, from `from` to `to`, in a line from 0, 0 on.
  static func legend(_ ramp: Ramp, from: String, to: String) -> String {
    var markup = "<g class=\"cells\">"
    var x = 0.0
    if ramp == .kept { markup += swatch("k0", "none", at: &x) }
    markup += "<text x=\"\(Markup.number(x))\" y=\"9.5\">\(from)</text>"
    x += Double(from.count) * 6.6 + 8
    for step in 1...Palette.steps {
      markup += "<rect class=\"\(ramp.rawValue)\(step)\" x=\"\(Markup.number(x))\""
      markup += " width=\"10\" height=\"10\"/>"
      x += 10
    }
    return markup + "<text x=\"\(Markup.number(x + 5))\" y=\"9.5\">\(to)</text></g>"
  }

  /// The two colours of a mask's own picture.
  static var keptLegend: String {
    var x = 0.0
    let kept = swatch("k\(level(of: keptShare))", "kept", at: &x)
    return "<g class=\"cells\">" + kept + swatch("k0", "pruned", at: &x) + "</g>"
  }

  /// The share that a kept channel is drawn with.
  static let keptShare = 0.7

  private static func swatch(_ style: String, _ name: String, at x: inout Double) -> String {
    let markup =
      "<rect class=\"\(style)\" x=\"\(Markup.number(x))\" width=\"14\" height=\"10\"/>"
      + "<text x=\"\(Markup.number(x + 18))\" y=\"9.5\">\(name)</text>"
    x += 18 + Double(name.count) * 6.6 + 12
    return markup
  }

  private static func level(of share: Double) -> Int {
    min(Palette.steps, 1 + Int(max(0, share) * Double(Palette.steps)))
  }
}
