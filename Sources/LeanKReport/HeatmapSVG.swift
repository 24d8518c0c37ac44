import LeanKMask

/// The picture that `inspect --heatmap` writes: kept shares of layers by heads and of layers by
/// channels, in one SVG that follows the viewer's light or dark theme.
public struct HeatmapSVG: Sendable {
  public let subject: ReportSubject

  /// Cells up to which each has a hover text of its own.
  private static let hoverLimit = 20_000

  public init(_ subject: ReportSubject) { self.subject = subject }

  public var text: String {
    let figures = MaskFigures(profile: subject.profile)
    let (heads, channels) = (figures.heads, figures.channels)
    let margin = 20.0
    let width = max(460, max(heads.width, channels.width) + 2 * margin)
    let first = 74.0
    let second = first + heads.height + 46
    let height = second + channels.height + 40
    let statistics = subject.profile.statistics
    // Letters of 15 units are about 8 wide.
    let name = Markup.text(subject.heading, limit: Int((width - 2 * margin) / 8))

    var svg = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    svg += "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" class=\"leank\""
    svg += " width=\"\(Markup.number(width))\" height=\"\(Markup.number(height))\""
    svg += " viewBox=\"0 0 \(Markup.number(width)) \(Markup.number(height))\">"
    svg += "<title>\(name): kept share of K channels</title>"
    svg += "<style>\(Palette.css(for: "svg"))</style>"
    svg += "<rect class=\"bg\" width=\"100%\" height=\"100%\"/>"
    svg += "<g transform=\"translate(\(Markup.number(margin)) 0)\">"
    svg += "<text class=\"name\" y=\"24\" style=\"font-size:15px\">\(name)</text>"
    svg += "<text y=\"43\">keeps \(Formatting.percent(statistics.keptRatio)) of K channels; "
    svg += "\(Formatting.count(statistics.emptyHeads)) of "
    svg += "\(Formatting.count(statistics.heads)) heads empty</text>"
    svg += "<g transform=\"translate(0 52)\">"
    svg += HeatmapFigure.legend(.kept, from: "few", to: "all") + "</g>"
    svg += panel(heads, title: "", at: first, figures.headText)
    svg += panel(
      channels, title: "share of a layer's heads that keep a channel", at: second,
      figures.channelText)
    return svg + "</g></svg>\n"
  }

  private func panel(
    _ figure: HeatmapFigure, title: String, at y: Double, _ text: @escaping HeatmapFigure.CellText
  ) -> String {
    let hasText =
      figure.rows * figure.columns <= Self.hoverLimit && figure.merged == (1, 1)
    var svg =
      title.isEmpty ? "" : "<text class=\"name\" y=\"\(Markup.number(y - 8))\">\(title)</text>"
    svg += "<g transform=\"translate(0 \(Markup.number(y)))\">"
    svg += figure.content(cellText: hasText ? text : nil)
    return svg + "</g>"
  }
}
