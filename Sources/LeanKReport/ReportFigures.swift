import LeanKMask

/// All pictures of the report, in its order.
struct ReportFigures {
  let subject: ReportSubject
  /// Channels up to which each is drawn by itself.
  private static let channelLimit = 1 << 17
  /// Units up to which a picture is readable in half of the page's width.
  private static let halfWidth = 560.0

  var all: [ReportFigure] {
    let heads = headMap
    var charts = [layers, frequencies, headClasses, scores, memory].compactMap(\.self)
    // Two columns, in which a tall picture counts twice: the last one fills a row that is left over.
    let before = heads.isWide ? 0 : heads.isTall ? 2 : 1
    if !(charts.count + before).isMultiple(of: 2) {
      charts[charts.count - 1].isWide = true
    }
    return [heads] + charts + [channelMap, maskMap, scoreMap].compactMap(\.self)
  }

  private var profile: MaskProfile { subject.profile }

  // MARK: - Heatmaps

  private var headMap: ReportFigure {
    let columns = profile.layers.map(\.counts.count).max() ?? 0
    let counts = profile.layers.flatMap {
      $0.counts + [Int](repeating: -1, count: columns - $0.counts.count)
    }
    var figure = ReportFigure(
      id: "heads", title: "Kept share of each head",
      caption: "Layers down, KV heads across. An empty head keeps no K channel at all.",
      heatmap: MaskFigures(profile: profile).heads,
      cells: .counts(counts, of: profile.layers.map(\.geometry.headDim)),
      legendMarkup: HeatmapFigure.legend(.kept, from: "few", to: "all"))
    figure.isWide = figure.size.width > Self.halfWidth
    figure.isTall = !figure.isWide && figure.size.height > 400
    return figure
  }

  private var channelMap: ReportFigure {
    let columns = profile.layers.map(\.geometry.headDim).max() ?? 0
    let counts = profile.layers.flatMap {
      $0.channelHeads + [Int](repeating: -1, count: columns - $0.geometry.headDim)
    }
    var figure = ReportFigure(
      id: "channels", title: "Which channels the heads of a layer agree on",
      caption: "Share of a layer's KV heads that keep a channel." + everyChannelNote,
      heatmap: MaskFigures(profile: profile).channels,
      cells: .heads(counts, of: profile.layers.map(\.counts.count)),
      legendMarkup: HeatmapFigure.legend(.kept, from: "few", to: "all"))
    figure.isWide = true
    return figure
  }

  private var canDrawEveryChannel: Bool {
    profile.statistics.channels <= Self.channelLimit
      && profile.layers.count <= HeatmapFigure.limit.rows
      && profile.layers.allSatisfy { $0.geometry.channels <= HeatmapFigure.limit.columns }
  }

  private var everyChannelNote: String {
    canDrawEveryChannel
      ? ""
      : " The mask's \(Formatting.count(profile.statistics.channels)) channels are too many to draw "
        + "one by one: leank inspect --layer lists them."
  }

  /// One row a layer, its heads' channels side by side; nil when they are too many to draw.
  private func everyChannel(
    _ value: (_ index: Int, _ isKept: Bool) -> Double
  ) -> (map: HeatmapFigure, bits: String, widths: [Int])? {
    guard canDrawEveryChannel else { return nil }
    let columns = profile.layers.map(\.geometry.channels).max() ?? 0
    var shares: [Double] = []
    var bits = ""
    var index = 0
    for layer in subject.document.mask.layers {
      for head in layer.heads {
        for channel in 0..<head.width {
          shares.append(value(index, head[channel]))
          bits += head[channel] ? "1" : "0"
          index += 1
        }
      }
      let missing = columns - layer.geometry.channels
      shares += [Double](repeating: .nan, count: missing)
      bits += String(repeating: "-", count: missing)
    }
    let widths = profile.layers.map(\.geometry.headDim)
    let split = Set(widths).count == 1 ? widths.first : nil
    var map = HeatmapFigure(
      rowName: "layer",
      columnName: split == nil ? "channel, head after head" : "KV head, channel by channel",
      rows: profile.layers.count, columns: columns, shares: shares,
      cell: (Double(max(1, min(14, 906 / columns))), profile.layers.count <= 48 ? 12 : 6))
    map.split = split ?? 0
    return (map, bits, widths)
  }

  private var maskMap: ReportFigure? {
    guard let (map, bits, widths) = everyChannel({ $1 ? HeatmapFigure.keptShare : 0 }) else {
      return nil
    }
    var figure = ReportFigure(
      id: "mask", title: "The mask",
      caption: "Every channel of every head.", heatmap: map,
      cells: .bits(bits, width: widths), legendMarkup: HeatmapFigure.keptLegend)
    figure.isWide = true
    return figure
  }

  private var scoreMap: ReportFigure? {
    guard let scores = subject.document.scores, let found = subject.scores else { return nil }
    guard
      let (base, bits, widths) = everyChannel({ index, _ in
        found.position(of: Double(scores[index]))
      })
    else { return nil }
    var map = base
    map.ramp = .score
    var values: [Float] = []
    var rest = scores.values[...]
    for layer in profile.layers {
      values += rest.prefix(layer.geometry.channels)
      rest = rest.dropFirst(layer.geometry.channels)
      values += [Float](repeating: 0, count: map.columns - layer.geometry.channels)
    }
    var figure = ReportFigure(
      id: "scores", title: "The scores behind it",
      caption:
        "\(Markup.text(scores.kind)), from \(Formatting.scientific(found.minimum, digits: 4)) to "
        + "\(Formatting.scientific(found.maximum, digits: 4))"
        + (found.axis == .logarithmic ? ", in logarithmic colours." : "."),
      heatmap: map, cells: .scores(values, width: widths, bits: bits),
      legendMarkup: HeatmapFigure.legend(.score, from: "low", to: "high"))
    figure.isWide = true
    return figure
  }

  // MARK: - Charts

  private var layers: ReportFigure {
    let shares = profile.layers.map(\.share.ratio)
    let closures = profile.layers.map {
      Double($0.closureKept - $0.kept) / Double($0.geometry.channels)
    }
    let step = ChartFigure.labelStep(shares.count)
    var chart = ChartFigure(
      columns: shares.count, maximum: 1, xName: "layer",
      xLabels: stride(from: 0, to: shares.count, by: step).map { (Double($0), String($0)) },
      yLabel: { Formatting.percent($0, digits: 0) })
    chart.addBars(shares, style: "a")
    chart.addBars(closures, over: shares, style: "a faint")
    return ReportFigure(
      id: "layers", title: "Kept share by layer",
      caption:
        "What the cache keeps, and on top the rows that layout rows keeps besides, for their "
        + "rotary partners.",
      chart: chart, legend: [("a", "kept in the cache"), ("a faint", "more rows for partners")],
      texts: profile.layers.map {
        "layer \($0.index): keeps \(Formatting.count($0.kept)) of "
          + "\(Formatting.count($0.geometry.channels)) channels "
          + "(\(Formatting.percent($0.share.ratio))), \(Formatting.count($0.closureKept)) rows; "
          + counted($0.emptyHeads, "empty head")
      })
  }

  private var frequencies: ReportFigure? {
    guard let most = profile.frequencies.max(by: { $0.layers < $1.layers }) else { return nil }
    let shares = most.shares.map(\.ratio)
    let quarters = profile.quarters.map { Formatting.percent($0.ratio, digits: 1) }
    let step = max(1, shares.count / 8)
    var chart = ChartFigure(
      columns: shares.count, maximum: 1, xName: "rotary frequency, fast to slow",
      xLabels: stride(from: 0, to: shares.count, by: step).map { (Double($0), String($0)) },
      yLabel: { Formatting.percent($0, digits: 0) })
    chart.addBars(shares, style: "a")
    let assumed =
      profile.statistics.rotaryIsKnown ? "" : " Pairs are assumed: no checkpoint was given."
    let others =
      most.layers < profile.layers.count
      ? " Shown: layers that rotate \(most.rotaryWidth) channels, \(most.layers) of "
        + "\(profile.layers.count)."
      : ""
    return ReportFigure(
      id: "frequencies", title: "Kept share by rotary frequency",
      caption: Markup.text(
        "By quarter, fast to slow: \(quarters.joined(separator: ", ")).\(others)\(assumed)"),
      chart: chart, legend: [],
      texts: most.shares.enumerated().map { index, share in
        "frequency \(index): keeps \(Formatting.count(share.kept)) of "
          + "\(Formatting.count(share.channels)) channels (\(Formatting.percent(share.ratio)))"
      })
  }

  private var headClasses: ReportFigure {
    let classes = profile.headClasses
    let counts = profile.statistics.keptCounts.sorted { $0.key < $1.key }
    let step = max(1, (counts.count + 11) / 12)
    var chart = ChartFigure(
      columns: counts.count, maximum: Double(counts.map(\.value).max() ?? 1), areCounts: true,
      xName: "kept channels of a head",
      xLabels: stride(from: 0, to: counts.count, by: step).map {
        (Double($0), String(counts[$0].key))
      }, yLabel: { Formatting.count(Int($0)) })
    chart.addBars(counts.map { $0.key == 0 ? 0 : Double($0.value) }, style: "a")
    chart.addBars(counts.map { $0.key == 0 ? Double($0.value) : 0 }, style: "b")
    let full = classes.full > 0 ? ", \(Formatting.count(classes.full)) full" : ""
    return ReportFigure(
      id: "classes", title: "Heads by what they keep",
      caption:
        "\(Formatting.count(classes.empty)) empty, \(Formatting.count(classes.narrow)) narrow "
        + "(at most half), \(Formatting.count(classes.wide)) wide"
        + "\(full).",
      chart: chart, legend: classes.empty > 0 ? [("b", "empty"), ("a", "keep something")] : [],
      texts: counts.map {
        "\(counted($0.value, "head")) \($0.value == 1 ? "keeps" : "keep") \(counted($0.key, "channel"))"
      })
  }

  private var scores: ReportFigure? {
    guard let found = subject.scores else { return nil }
    let kept = found.bins.map { Double($0.kept) }
    let pruned = found.bins.map { Double($0.pruned) }
    let last = Double(found.bins.count)
    var chart = ChartFigure(
      columns: found.bins.count, maximum: zip(kept, pruned).map(+).max() ?? 1, areCounts: true,
      xName: "score (\(found.kind))\(found.axis == .logarithmic ? ", logarithmic" : "")",
      xLabels: stride(from: 0.0, through: 1, by: 0.25).map {
        ($0 * last - 0.5, Formatting.scientific(found.score(at: $0), digits: 3))
      }, yLabel: { Formatting.count(Int($0)) })
    chart.addBars(pruned, style: "c")
    chart.addBars(kept, over: pruned, style: "a")
    if found.maximum > found.minimum {
      chart.addMark(
        at: found.position(of: found.threshold),
        name: "threshold \(Formatting.scientific(found.threshold, digits: 4))")
    }
    return ReportFigure(
      id: "distribution", title: "Scores of kept and pruned channels",
      caption: Markup.text(
        "The threshold prunes \(Formatting.percent(found.ratio)). "
          + "\(counted(found.keptBelow, "kept channel")) below it, "
          + "\(Formatting.count(found.prunedAbove)) pruned at or above."
          + (found.infinite > 0 ? " \(Formatting.count(found.infinite)) infinite." : "")),
      chart: chart, legend: [("a", "kept"), ("c", "pruned")],
      texts: found.bins.map {
        "scores \(Formatting.scientific($0.lower, digits: 4)) to "
          + "\(Formatting.scientific($0.upper, digits: 4)): "
          + "\(Formatting.count($0.kept)) kept, \(Formatting.count($0.pruned)) pruned"
      })
  }

  private var memory: ReportFigure {
    let contexts = subject.curve
    let cost = subject.cost
    let window = subject.window
    let dense = contexts.map { Double(cost.dense(context: $0).total) }
    let pruned = contexts.map { Double(cost.static(context: $0).total) }
    let windowed = contexts.map { Double(cost.windowed(context: $0, window: window).total) }
    func short(_ tokens: Int) -> String {
      tokens >= 1 << 20 ? "\(tokens >> 20)M" : "\(tokens >> 10)K"
    }
    let step = max(1, (contexts.count + 8) / 9)
    var chart = ChartFigure(
      columns: contexts.count, maximum: dense.max() ?? 1, xName: "tokens in the cache",
      xLabels: stride(from: 0, to: contexts.count, by: step).map {
        (Double($0), short(contexts[$0]))
      }, yLabel: axisBytes)
    chart.addCurve(dense, style: "c")
    chart.addCurve(pruned, style: "b")
    chart.addCurve(windowed, style: "a")
    func text(_ bytes: Double, of whole: Double) -> String {
      "\(Formatting.bytes(Int(bytes))) (\(Formatting.percent(bytes / max(1, whole), digits: 1)))"
    }
    return ReportFigure(
      id: "memory", title: "K and V cache against context",
      caption: "One sequence, \(subject.facts.elementBytes)-byte elements; windowed with sink "
        + "\(window.sink), recent \(window.recent), accumulate \(window.accumulate).",
      chart: chart, legend: [("c", "dense"), ("b", "static"), ("a", "windowed")],
      texts: contexts.indices.map {
        "\(Formatting.count(contexts[$0])) tokens: dense \(Formatting.bytes(Int(dense[$0]))), static "
          + "\(text(pruned[$0], of: dense[$0])), windowed \(text(windowed[$0], of: dense[$0]))"
      })
  }

  /// `800 MB`: round numbers need no decimals.
  private func axisBytes(_ value: Double) -> String {
    var amount = value
    for unit in ["B", "KB", "MB", "GB"] {
      if amount < 1000 {
        return Formatting.short(amount, digits: 1) + (amount == 0 ? "" : " " + unit)
      }
      amount /= 1000
    }
    return Formatting.short(amount, digits: 1) + " TB"
  }
}
