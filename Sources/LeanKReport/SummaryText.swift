import ByteIO
import LeanKMask

/// The screenful that `inspect` prints for people.
public struct SummaryText: Sendable {
  public let subject: ReportSubject
  /// Whether lines may hold ANSI colours.
  public let usesColor: Bool

  /// Columns of a row of small bars that leaves room for its numbers.
  private static let bars = 40
  /// Notes short of a warning that a screen has room for.
  private static let notes: [Advice.Topic] = [.layoutRows, .uniformWidths, .emptyHeads]
  /// Lines of half blocks that a heatmap may take.
  private static let heatmapLines = 8

  public init(_ subject: ReportSubject, usesColor: Bool = false) {
    self.subject = subject
    self.usesColor = usesColor
  }

  public var lines: [String] {
    let document = subject.document
    let statistics = subject.profile.statistics
    var lines = [escaped(subject.title, limit: 4096)]
    func add(_ label: String, _ value: String) { lines += Formatting.rows(label, value) }
    let file = [
      subject.fileBytes.map { Formatting.count($0) + " bytes" },
      subject.contentID.map { "content id \($0)" },
    ].compactMap(\.self)
    if !file.isEmpty { add("file", file.joined(separator: ", ")) }
    if let model = subject.modelName { add("model", escaped(model)) }
    for (index, line) in GeometryText.lines(document.mask, limit: 4).enumerated() {
      add(index == 0 ? "geometry" : "", line)
    }
    add("kept", kept(statistics))
    add("rows", rows(statistics))
    add("heads", heads(statistics))
    if let alignment = document.alignment {
      let met = alignment.isMet(by: document.mask) ? "met" : "NOT met"
      add("alignment", "\(alignmentText(alignment)), \(met)")
    } else {
      add("alignment", "not recorded")
    }
    if let scores = document.scores { add("scores", scoresText(scores)) }
    add("use", deploymentText(document.deployment))
    let origin = [Provenance.source, Provenance.recipe].compactMap { document.provenance[$0] }
    if !origin.isEmpty { add("from", escaped(origin.joined(separator: ", "))) }
    lines += cache
    lines += pictures
    for item in Advice.on(subject)
    where item.severity == .warning || Self.notes.contains(item.topic) {
      add(item.severity.rawValue, item.text)
    }
    return lines
  }

  private func kept(_ statistics: MaskStatistics) -> String {
    "\(Formatting.count(statistics.channelsKept)) of \(Formatting.count(statistics.channels)) channels, "
      + "\(Formatting.percent(statistics.keptRatio)); pruned \(Formatting.percent(statistics.prunedRatio))"
  }

  private func rows(_ statistics: MaskStatistics) -> String {
    let closure = Formatting.percent(statistics.closureKeptRatio)
    if subject.facts.hasQueryKeyNorm {
      return "layout rows is ruled out, for keys are normed; the pair closure is \(closure)"
    }
    if subject.facts.hasUnknownRows {
      return "layout rows is ruled out, for how keys rotate is not known"
    }
    var text =
      statistics.isPairClosed
      ? "pair-closed: layout rows keeps what the cache keeps, \(closure)"
      : "the pair closure keeps \(closure)"
    if !statistics.rotaryIsKnown { text += " (pairs assumed)" }
    if let before = subject.facts.weightBytes, let after = subject.facts.rowsWeightBytes {
      text += ", weights \(Formatting.bytes(before)) -> \(Formatting.bytes(after))"
    }
    return text
  }

  private func heads(_ statistics: MaskStatistics) -> String {
    let classes = subject.profile.headClasses
    let counts = statistics.keptCounts.sorted { $0.key < $1.key }
    let shown = counts.prefix(8).map { "\($0.key) x \($0.value)" }.joined(separator: ", ")
    let more = counts.count > 8 ? ", ... (\(counts.count) different counts)" : ""
    let full = classes.full > 0 ? ", full \(Formatting.count(classes.full))" : ""
    return
      "\(Formatting.count(statistics.heads)): empty \(Formatting.count(classes.empty)), narrow "
      + "\(Formatting.count(classes.narrow)), wide \(Formatting.count(classes.wide))\(full); channels x heads: \(shown)\(more)"
  }

  private func scoresText(_ scores: ImportanceScores) -> String {
    let name = "\(escaped(scores.kind)), \(scores.scalar.rawValue)"
    guard let found = subject.scores else { return name }
    return name + ", \(Formatting.scientific(found.minimum, digits: 4)) to "
      + "\(Formatting.scientific(found.maximum, digits: 4)); threshold "
      + "\(Formatting.scientific(found.threshold, digits: 4)) at \(Formatting.percent(found.ratio)), "
      + "\(Formatting.count(found.keptBelow)) kept below it"
      + (found.infinite > 0 ? ", \(Formatting.count(found.infinite)) infinite" : "")
  }

  private var cache: [String] {
    let (dense, pruned) = (subject.cost.densePerToken, subject.cost.staticPerToken)
    let keys = Formatting.bytes(dense.keys)
    let token =
      switch subject.facts.cachedKeys {
      case .kept:
        "K \(keys) -> \(Formatting.bytes(pruned.keys)); V \(Formatting.bytes(dense.values)), windowed "
          + Formatting.bytes(subject.cost.middlePerToken.values)
      case .keptStatic:
        "K \(keys) -> \(Formatting.bytes(pruned.keys)); V \(Formatting.bytes(dense.values))"
      case .whole:
        "K \(keys); V \(Formatting.bytes(dense.values)); layout zeroed saves nothing"
      }
    var lines = Formatting.rows(
      "cache", "a token (\(subject.facts.elementBytes)-byte elements): \(token)")
    for context in subject.contexts {
      let whole = subject.cost.dense(context: context).total
      func cost(_ bytes: CacheBytes) -> String {
        Formatting.bytes(bytes.total) + " ("
          + Formatting.percent(Double(bytes.total) / Double(max(1, whole)), digits: 1) + ")"
      }
      let used = subject.modes.map { mode in
        ", \(mode.rawValue) "
          + cost(
            mode == .static
              ? subject.cost.static(context: context)
              : subject.cost.windowed(context: context, window: subject.window))
      }
      lines.append(
        Formatting.row(
          "",
          Formatting.padded(Formatting.count(context), to: 9, onTheLeft: true)
            + " tokens: K and V \(Formatting.bytes(whole))" + used.joined()))
    }
    return lines
  }

  // MARK: - Pictures

  private var pictures: [String] {
    var lines: [String] = []
    let layers = subject.profile.layers
    if !subject.profile.quarters.isEmpty {
      let shares =
        subject.profile.frequencies.count == 1
        ? subject.profile.frequencies[0].shares : subject.profile.quarters
      let quarters = subject.profile.quarters
        .map { Formatting.fixed($0.ratio * 100, digits: 1) }.joined(separator: " / ")
      let line = Formatting.sparkline(shares.map(\.ratio), limit: Self.bars)
      lines.append(Formatting.row("frequency", "\(line)  fast to slow, by quarter \(quarters) %"))
    }
    let cached = layers.filter(\.geometry.hasCache)
    let shares = cached.map(\.share.ratio)
    if let least = cached.min(by: { $0.share.ratio < $1.share.ratio }),
      let most = cached.max(by: { $0.share.ratio < $1.share.ratio })
    {
      lines.append(
        Formatting.row(
          "layers",
          "\(Formatting.sparkline(shares, limit: Self.bars))  first to last, least "
            + "\(least.index) (\(Formatting.percent(least.share.ratio, digits: 0))), most "
            + "\(most.index) (\(Formatting.percent(most.share.ratio, digits: 0)))"))
    }
    if usesColor { lines += heatmap }
    return lines
  }

  /// KV heads down, layers across; the mean of several where they are more than fit.
  private var heatmap: [String] {
    let layers = subject.profile.layers
    let perColumn = (layers.count - 1) / Formatting.valueWidth + 1
    let columns = stride(from: 0, to: layers.count, by: perColumn).map {
      layers[$0..<min(layers.count, $0 + perColumn)]
    }
    let legend = "  empty \(TerminalHeatmap.legend) full"
    let heads = layers.map(\.counts.count).max() ?? 0
    let perRow = (heads + 2 * Self.heatmapLines - 1) / (2 * Self.heatmapLines)
    let rows = stride(from: 0, to: heads, by: max(1, perRow)).map { first in
      columns.map { layers -> Double? in
        var share = KeptShare()
        for layer in layers {
          let counts = layer.counts.dropFirst(first).prefix(perRow)
          share += KeptShare(
            kept: counts.reduce(0, +), channels: counts.count * layer.geometry.headDim)
        }
        return share.channels > 0 ? share.ratio : nil
      }
    }
    let lines = TerminalHeatmap(rows: rows).lines
    return lines.enumerated().map { index, line in
      Formatting.row(index == 0 ? "KV heads" : "", line)
        + (index == 0 && columns.count <= Formatting.valueWidth - TerminalHeatmap.legendWidth
          ? legend : "")
    }
  }
}
