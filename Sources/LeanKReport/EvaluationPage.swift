public import LeanKMask

/// The page that `eval --report` writes: what each mask leaves of a model, against its pruned ratio.
/// One file, no network, light and dark; well-formed XML as well as HTML.
public struct EvaluationPage: Sendable {
  /// One mask's outcome; nil where nothing of the kind was measured.
  public struct Entry: Sendable, Hashable {
    public var name: String
    public var mode: DeploymentHints
    /// Share of the channels that the mask prunes.
    public var prunedRatio: Double
    /// Nats a token.
    public var loss: Double?
    public var divergence: Double?
    public var topAgreement: Double?
    /// Share of the questions that were answered rightly.
    public var answers: Double?
    /// At the context.
    public var bytes: CacheBytes

    public init(name: String, mode: DeploymentHints, prunedRatio: Double, bytes: CacheBytes) {
      self.name = name
      self.mode = mode
      self.prunedRatio = prunedRatio
      self.bytes = bytes
    }
  }

  public var model: String
  /// What was measured, in sentences.
  public var facts: [String]
  /// The dense model's.
  public var loss: Double?
  public var answers: Double?
  public var bytes: CacheBytes
  public var entries: [Entry]

  public init(model: String, facts: [String], bytes: CacheBytes, entries: [Entry]) {
    self.model = model
    self.facts = facts
    self.bytes = bytes
    self.entries = entries
  }

  public var text: String {
    let name = Markup.text(model)
    let figures = [divergences, answerShares].compactMap(\.self)
    var html = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
    html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>"
    html += "<meta name=\"color-scheme\" content=\"light dark\"/>"
    html += "<title>\(name): what K channel masks leave of it</title>"
    html += "<style>\(Palette.css(for: ":root"))\n\(ReportAssets.style)</style></head><body>"
    html += "<header><h1>\(name): what K channel masks leave of it</h1>"
    for fact in facts { html += "<p>\(Markup.text(fact))</p>" }
    html += "</header><main><div class=\"grid\">"
    for figure in figures { html += figure.html + "\n" }
    html += "</div>" + table + "</main>"
    html += "<footer>Made by leank eval. This page needs no network.</footer></body></html>\n"
    return html
  }

  /// Entries of each mode, by ratio.
  private var series: [(style: String, name: String, entries: [Entry])] {
    [("a", "windowed", MaskMode.windowed), ("b", "static", .static)].map { style, name, mode in
      let part = entries.filter { $0.mode.mode == mode }
      return (style, name, part.sorted { $0.prunedRatio < $1.prunedRatio })
    }
  }

  /// A chart of one value a mask over the pruned ratio; nil where no mask has it.
  private func figure(
    id: String, title: String, caption: String, maximum: Double?,
    level: (value: Double, name: String)? = nil, yLabel: (Double) -> String,
    _ value: (Entry) -> Double?
  ) -> ReportFigure? {
    let all = entries.compactMap(value).filter(\.isFinite)
    guard let largest = all.max() else { return nil }
    // One column is the whole width, and its middle a ratio of one half.
    var chart = ChartFigure(
      columns: 1, maximum: maximum ?? largest, xName: "pruned share of the K channels",
      xLabels: (0...5).map {
        (Double($0) / 5 - 0.5, Formatting.percent(Double($0) / 5, digits: 0))
      }, yLabel: yLabel)
    var legend: [(style: String, name: String)] = []
    for part in series {
      let points = part.entries.compactMap { entry in
        value(entry).map { (entry.prunedRatio - 0.5, $0, "\(entry.name): \(yLabel($0))") }
      }.filter(\.1.isFinite)
      guard !points.isEmpty else { continue }
      chart.addPoints(points.map { (x: $0.0, y: $0.1, text: $0.2) }, style: part.style)
      legend.append((part.style, part.name))
    }
    if let level { chart.addLevel(level.value, name: level.name) }
    return ReportFigure(id: id, title: title, caption: caption, chart: chart, legend: legend)
  }

  private var divergences: ReportFigure? {
    figure(
      id: "kl", title: "KL against the pruned ratio",
      caption:
        "Divergence of the dense model\u{2019}s next-token distribution from the masked one\u{2019}s, "
        + "nats a token. Lower is better.",
      maximum: nil, yLabel: { Formatting.scientific($0, digits: 3) }, \.divergence)
  }

  private var answerShares: ReportFigure? {
    figure(
      id: "answers", title: "Right answers against the pruned ratio",
      caption: "Share of questions about facts far before that are answered rightly.", maximum: 1,
      level: answers.map { ($0, "dense") }, yLabel: { Formatting.percent($0, digits: 0) },
      \.answers)
  }

  private var table: String {
    func cell(_ value: Double?, _ text: (Double) -> String) -> String {
      "<td>\(value.map(text) ?? "")</td>"
    }
    func percent(_ value: Double) -> String { Markup.text(Formatting.percent(value, digits: 1)) }
    func row(_ name: String, _ entry: Entry?) -> String {
      let bytes = entry?.bytes ?? bytes
      var html = "<tr>" + cell(entry?.prunedRatio, percent)
      html += cell(entry == nil ? loss : entry?.loss, Formatting.decimal)
      html += cell(entry?.divergence) { Formatting.scientific($0, digits: 3) }
      html += cell(entry?.topAgreement, percent)
      html += cell(entry == nil ? answers : entry?.answers, percent)
      html += "<td>\(Markup.bytes(bytes.keys))</td><td>\(Markup.bytes(bytes.values))</td>"
      return html + "<td>\(Markup.text(name))</td></tr>"
    }
    var html = "<section id=\"table\" style=\"margin-top:16px\"><h2>Masks in numbers</h2>"
    html += "<div class=\"scroll\"><table><thead><tr><th>pruned</th><th>loss</th><th>KL</th>"
    html +=
      "<th>top-1</th><th>answers</th><th>K cache</th><th>V cache</th><th>mask</th></tr></thead>"
    html += "<tbody>" + row("dense", nil)
    for entry in entries { html += row("\(entry.name), \(entry.mode.mode.rawValue)", entry) }
    return html + "</tbody></table></div></section>"
  }
}
