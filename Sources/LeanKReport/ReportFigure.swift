/// A picture of the report with what the reader learns by pointing at it.
///
/// The picture is a grid of cells; the page's script finds the cell under the pointer, or moves
/// between cells with the arrow keys, and shows the cell's text.
struct ReportFigure {
  /// Where the grid lies in the picture, in its own units.
  struct Grid {
    var x: Double
    var y: Double
    var width: Double
    var height: Double
    var rows: Int
    var columns: Int
  }

  /// What the cells say: a text each, or numbers that the script makes texts of.
  enum Cells {
    case texts([String])
    /// Kept channels of each cell, -1 = no such cell; and each row's channels a head.
    case counts([Int], of: [Int])
    /// Heads that keep the channel, -1 = no such cell; and each row's heads.
    case heads([Int], of: [Int])
    /// Row by row one character a channel: 1 kept, 0 pruned, - none; and each row's channels a head.
    case bits(String, width: [Int])
    /// Scores beside the bits of the figure `mask`.
    case scores([Float], width: [Int], bits: String)
  }

  let id: String
  let title: String
  /// What to see, in a sentence or two; markup.
  let caption: String
  let size: (width: Double, height: Double)
  let content: String
  var legend: [(style: String, name: String)] = []
  var grid: Grid?
  var cells: Cells?
  /// Whether the picture takes the page's whole width.
  var isWide = false
  /// Whether it is as tall as two charts beside it.
  var isTall = false
  /// Whether it is a chart, whose words are drawn larger where the page is narrow.
  private var isChart = false
  /// Width below which it scrolls instead of shrinking.
  var leastWidth = 320.0

  init(
    id: String, title: String, caption: String, heatmap: HeatmapFigure, cells: Cells,
    legendMarkup: String
  ) {
    self.id = id
    self.title = title
    self.caption = caption + heatmap.mergedNote
    let width = max(heatmap.width, 300)
    size = (width, heatmap.height + 22)
    let place = "\(Markup.number(HeatmapFigure.left)) \(Markup.number(heatmap.height + 6))"
    content = heatmap.content() + "<g transform=\"translate(\(place))\">\(legendMarkup)</g>"
    if heatmap.merged == (1, 1) {
      grid = Grid(
        x: HeatmapFigure.left, y: HeatmapFigure.top,
        width: Double(heatmap.columns) * heatmap.cell.width,
        height: Double(heatmap.rows) * heatmap.cell.height, rows: heatmap.rows,
        columns: heatmap.columns)
      self.cells = cells
    }
    leastWidth = heatmap.columns > 16 ? max(min(width, 760), 0.8 * width) : 280
  }

  init(
    id: String, title: String, caption: String, chart: ChartFigure,
    legend: [(style: String, name: String)], texts: [String]
  ) {
    self.id = id
    self.title = title
    self.caption = caption
    self.legend = legend
    size = (ChartFigure.width, ChartFigure.height)
    content = chart.content
    let plot = ChartFigure.plot
    grid = Grid(
      x: plot.x, y: plot.y, width: plot.width, height: plot.height, rows: 1,
      columns: chart.columns)
    cells = .texts(texts)
    isChart = true
    leastWidth = 300
  }

  /// A chart whose marks have hover texts of their own.
  init(
    id: String, title: String, caption: String, chart: ChartFigure,
    legend: [(style: String, name: String)]
  ) {
    self.init(id: id, title: title, caption: caption, chart: chart, legend: legend, texts: [])
    (grid, cells) = (nil, nil)
  }

  /// The figure element.
  var html: String {
    let (width, height) = (Markup.number(size.width), Markup.number(size.height))
    let classes = [isWide ? "wide" : isTall ? "tall" : nil, isChart ? "chart" : nil]
      .compactMap(\.self).joined(separator: " ")
    var html = "<figure id=\"\(id)\" class=\"\(classes)\">"
    html += "<h2>\(Markup.text(title))</h2><p>\(caption)</p>"
    if !legend.isEmpty {
      html += "<p class=\"legend\">"
      for item in legend {
        html += "<span><i class=\"\(item.style)\"></i>\(Markup.text(item.name))</span>"
      }
      html += "</p>"
    }
    let isLive = cells != nil
    html += "<div class=\"scroll\"><svg viewBox=\"0 0 \(width) \(height)\" role=\"img\""
    html +=
      " style=\"min-width:\(Markup.number(leastWidth))px;max-width:\(Markup.number(size.width * 1.15))px\""
    html +=
      " aria-label=\"\(Markup.text(title))\(isLive ? ", arrow keys move between its values" : "")\""
    html += isLive ? " tabindex=\"0\">" : ">"
    html += content
    if isLive { html += "<rect class=\"cursor\" width=\"0\" height=\"0\"/>" }
    html += "</svg></div>"
    if isLive {
      html +=
        "<output class=\"hint\" aria-live=\"polite\">Point at a value, or focus the picture and use the arrow keys.</output>"
    }
    return html + "</figure>"
  }

  /// The figure's member of the page's data: its grid and its cells.
  var json: String? {
    guard let grid, let cells else { return nil }
    let place = [grid.x, grid.y, grid.width, grid.height].map(Markup.number)
      .joined(separator: ",")
    func list(_ values: [Int]) -> String { values.map(String.init).joined(separator: ",") }
    var json =
      "\(Markup.json(id)):{\"at\":[\(place)],\"rows\":\(grid.rows),\"cols\":\(grid.columns),"
    switch cells {
    case .texts(let texts):
      json += "\"texts\":[\(texts.map(Markup.json).joined(separator: ","))]"
    case .counts(let counts, let of):
      json += "\"counts\":[\(list(counts))],\"of\":[\(list(of))]"
    case .heads(let counts, let of):
      json += "\"heads\":[\(list(counts))],\"of\":[\(list(of))]"
    case .bits(let bits, let width):
      json += "\"bits\":\"\(bits)\",\"width\":[\(list(width))]"
    case .scores(let scores, let width, let bits):
      let values = scores.map {
        $0.isFinite ? Formatting.scientific(Double($0), digits: 6) : "null"
      }
      json += "\"scores\":[\(values.joined(separator: ","))],\"width\":[\(list(width))],"
      json += "\"bits\":\"\(bits)\""
    }
    return json + "}"
  }
}
