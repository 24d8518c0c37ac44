import LeanKMask

/// The page that `inspect --report` writes: one file, no network, light and dark, every number
/// within reach of pointer and keyboard. It is well-formed XML as well as HTML.
public struct HTMLReport: Sendable {
  public let subject: ReportSubject

  /// Layers that the table lists at most.
  private static let tableLimit = 512

  public init(_ subject: ReportSubject) { self.subject = subject }

  public var text: String {
    let figures = ReportFigures(subject: subject).all
    let name = Markup.text(subject.heading)
    var html = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
    html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>"
    html += "<meta name=\"color-scheme\" content=\"light dark\"/>"
    html += "<title>\(name): K channel mask</title>"
    html += "<style>\(Palette.css(for: ":root"))\n\(ReportAssets.style)</style></head><body>"
    html +=
      "<header><h1>\(name)</h1><p>\(Markup.text(subject.subheading))</p><nav>"
    for figure in figures {
      html += "<a href=\"#\(figure.id)\">\(Markup.text(figure.title))</a>"
    }
    html += "<a href=\"#table\">Layers in numbers</a><a href=\"#facts\">The file</a></nav></header>"
    html += "<main>" + cards + advice + "<div class=\"grid\">"
    for figure in figures { html += figure.html + "\n" }
    html += "</div>" + table + facts + "</main>"
    html += "<footer>Made by leank inspect. This page needs no network.</footer>"
    let data = figures.compactMap(\.json).joined(separator: ",\n")
    html += "<script type=\"application/json\" id=\"data\">{\(data)}</script>"
    html += "<script>\(ReportAssets.script)</script></body></html>\n"
    return html
  }

  private var cards: String {
    let statistics = subject.profile.statistics
    let (dense, pruned) = (subject.cost.densePerToken, subject.cost.staticPerToken)
    let target = subject.document.alignment?.targetRatio
      .map { "asked for \(Formatting.percent($0))" }
    let context = subject.contexts.last ?? 0
    let whole = subject.cost.dense(context: context)
    let used: (mode: String, bytes: CacheBytes) =
      if let window = subject.document.deployment?.window, subject.modes.contains(.windowed) {
        ("windowed", subject.cost.windowed(context: context, window: window))
      } else {
        ("static", subject.cost.static(context: context))
      }
    let cards: [(String, String, String)] = [
      (
        "Pruned K channels", Formatting.percent(statistics.prunedRatio),
        target ?? "\(Formatting.count(statistics.channelsKept)) of "
          + "\(Formatting.count(statistics.channels)) stay"
      ),
      (
        "K rows after pair closure", Formatting.percent(statistics.closureKeptRatio),
        subject.facts.hasQueryKeyNorm
          ? "keys are normed: layout rows is ruled out"
          : subject.facts.hasUnknownRows
            ? "pairs are not known: layout rows is ruled out"
            : statistics.isPairClosed
              ? "pair-closed: no row stays for a partner" : "what layout rows keeps"
      ),
      (
        "Empty heads",
        "\(Formatting.count(statistics.emptyHeads)) of \(Formatting.count(statistics.heads))",
        Formatting.percent(Double(statistics.emptyHeads) / Double(statistics.heads))
      ),
      (
        "K cache a token", Markup.bytes(pruned.keys),
        "of \(Markup.bytes(dense.keys)); V \(Markup.bytes(dense.values))"
          + (subject.facts.cachedKeys == .whole ? "; layout zeroed saves nothing" : "")
      ),
      (
        "K and V at \(Formatting.count(context))",
        Formatting.percent(Double(used.bytes.total) / Double(max(1, whole.total)), digits: 1),
        "\(used.mode), \(Markup.bytes(used.bytes.total)) of \(Markup.bytes(whole.total))"
      ),
    ]
    return "<dl class=\"cards\">"
      + cards.map { "<div><dt>\($0)</dt><dd>\($1)<small>\($2)</small></dd></div>" }.joined()
      + "</dl>"
  }

  private var advice: String {
    var html = "<section id=\"advice\"><h2>What to know before using it</h2><ul class=\"advice\">"
    for item in Advice.on(subject) {
      html += "<li class=\"\(item.severity.rawValue)\"><b>\(item.severity.rawValue)</b>"
      html += "\(Markup.text(item.text))</li>"
    }
    return html + "</ul></section>"
  }

  private var table: String {
    let layers = subject.profile.layers
    var html =
      "<section id=\"table\" style=\"margin-top:16px\"><details><summary>Layers in numbers</summary>"
    html += "<div class=\"scroll\"><table><thead><tr><th>layer</th><th>kept</th><th>share</th>"
    html += "<th>rows</th><th>empty</th><th>kept by head</th></tr></thead><tbody>"
    for layer in layers.prefix(Self.tableLimit) {
      let counts = layer.counts.prefix(64).map(String.init).joined(separator: " ")
      html += "<tr><td>\(layer.index)</td><td>\(Formatting.count(layer.kept))</td>"
      html += "<td>\(Formatting.percent(layer.share.ratio))</td>"
      html += "<td>\(Formatting.count(layer.closureKept))</td><td>\(layer.emptyHeads)</td>"
      html += "<td>\(counts)\(layer.counts.count > 64 ? " ..." : "")</td></tr>"
    }
    html += "</tbody></table></div>"
    if layers.count > Self.tableLimit {
      html +=
        "<p>\(layers.count - Self.tableLimit) more layers: leank inspect --json lists them.</p>"
    }
    return html + "</details></section>"
  }

  private var facts: String {
    let document = subject.document
    var rows: [(String, String)] = [("name", subject.fileName)]
    if let bytes = subject.fileBytes { rows.append(("size", Formatting.count(bytes) + " bytes")) }
    if let id = subject.contentID { rows.append(("content id", id)) }
    rows.append(("alignment", alignmentText(document.alignment)))
    if let scores = document.scores {
      rows.append(("scores", "\(scores.kind), \(scores.scalar.rawValue)"))
    }
    rows.append(("use", deploymentText(document.deployment)))
    rows += document.provenance.entries.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    var html = "<section id=\"facts\"><h2>The file</h2><table class=\"facts\"><tbody>"
    for (name, value) in rows {
      html += "<tr><th scope=\"row\">\(Markup.text(name))</th><td>\(Markup.text(value))</td></tr>"
    }
    return html + "</tbody></table></section>"
  }
}
