import LeanKMask

/// One thing to know before a mask is used, with the number it rests on.
public struct Advice: Sendable, Hashable, Encodable {
  public enum Severity: String, Sendable, Hashable, Encodable {
    case note, warning
  }

  /// What an advice is about; stable, for programs.
  public enum Topic: String, Sendable, Hashable, CaseIterable, Encodable {
    case layoutRows = "layout_rows"
    case layoutCache = "layout_cache"
    case layoutZeroed = "layout_zeroed"
    case queryKeyNorm = "query_key_norm"
    case uniformWidths = "uniform_widths"
    case emptyHeads = "empty_heads"
    case pairClosure = "pair_closure"
    case alignment
    case targetRatio = "target_ratio"
    case countGroups = "count_groups"
    case rotaryAssumed = "rotary_assumed"
    case unknownRows = "unknown_rows"
    case windowedMask = "windowed_mask"
  }

  public let topic: Topic
  public let severity: Severity
  /// One sentence, lower case, without a full stop.
  public let text: String
  /// The numbers of the sentence, exact, by name.
  public let numbers: [String: Double]

  /// Groups of heads with the same count that LeanK's own decode kernel takes in one layer, empty
  /// heads apart.
  public static let kernelGroups = 4

  /// All advice on a mask, warnings first.
  public static func on(_ subject: ReportSubject) -> [Advice] {
    let adviser = Adviser(subject)
    return adviser.warnings + adviser.notes
  }
}

private struct Adviser {
  let subject: ReportSubject
  let statistics: MaskStatistics
  /// What the mask by itself saves: advice is for those who have not chosen a layout yet.
  let cost: CacheCost
  let uniform: UniformWidths

  init(_ subject: ReportSubject) {
    self.subject = subject
    statistics = subject.profile.statistics
    cost = CacheCost(
      of: subject.document.mask, elementBytes: subject.facts.elementBytes,
      slidingWindows: subject.facts.slidingWindows, valueDims: subject.facts.valueDims)
    uniform = UniformWidths(of: subject.profile)
  }

  var warnings: [Advice] {
    [
      queryKeyNorm, unknownRows, pairClosure, windowedMask, alignment, targetRatio, countGroups,
      rotaryAssumed,
    ]
    .compactMap(\.self)
  }

  var notes: [Advice] {
    [layoutRows, layoutCache, layoutZeroed, uniformWidths, emptyHeads].compactMap(\.self)
  }

  private func share(_ kept: Int) -> Double {
    Double(kept) / Double(max(1, statistics.channels))
  }

  private func percent(_ kept: Int) -> String { Formatting.percent(share(kept)) }

  // MARK: - Warnings

  private var queryKeyNorm: Advice? {
    guard subject.facts.hasQueryKeyNorm else { return nil }
    return Advice(
      topic: .queryKeyNorm, severity: .warning,
      text: "this model norms its keys over all channels, so rows and zeroed cannot be exact: use "
        + "layout cache, which keeps \(percent(statistics.channelsKept)) of K in the cache",
      numbers: ["kept_ratio": statistics.keptRatio])
  }

  private var unknownRows: Advice? {
    guard subject.facts.hasUnknownRows, !subject.facts.hasQueryKeyNorm else { return nil }
    return Advice(
      topic: .unknownRows, severity: .warning,
      text:
        "this model is known by the geometry of its cache alone, so rows and zeroed are ruled out: use "
        + "layout cache, which keeps \(percent(statistics.channelsKept)) of K in the cache",
      numbers: ["kept_ratio": statistics.keptRatio])
  }

  private var pairClosure: Advice? {
    guard !statistics.isPairClosed, !subject.facts.rulesOutRows else { return nil }
    return Advice(
      topic: .pairClosure, severity: .warning,
      text:
        "not pair-closed: layout rows keeps \(percent(statistics.closureKept)) of K, the cache "
        + "\(percent(statistics.channelsKept)): "
        + "\(counted(statistics.closureKept - statistics.channelsKept, "row")) more",
      numbers: [
        "closure_kept_ratio": statistics.closureKeptRatio, "kept_ratio": statistics.keptRatio,
        "additional_rows": Double(statistics.closureKept - statistics.channelsKept),
      ])
  }

  private var windowedMask: Advice? {
    guard let window = subject.document.deployment?.window, !subject.facts.rulesOutRows
    else { return nil }
    return Advice(
      topic: .windowedMask, severity: .warning,
      text:
        "made for windowed use, which leaves the prompt and \(window.sink) + \(window.recent) near "
        + "tokens whole: rows and zeroed prune every token and can cost far more accuracy; leank verify "
        + "shows the drift",
      numbers: ["sink": Double(window.sink), "recent": Double(window.recent)])
  }

  private var alignment: Advice? {
    guard let alignment = subject.document.alignment else { return nil }
    var misses = 0
    var first: (layer: Int, head: Int, count: Int)?
    for (index, layer) in subject.document.mask.layers.enumerated() {
      for (head, set) in layer.heads.enumerated() where !alignment.isMet(by: set) {
        misses += 1
        if first == nil { first = (index, head, set.count) }
      }
    }
    guard let first else { return nil }
    return Advice(
      topic: .alignment, severity: .warning,
      text:
        "alignment to \(alignment.unit) is not met by \(Formatting.count(misses)) of "
        + "\(counted(statistics.heads, "head")), first "
        + "by layer \(first.layer) head \(first.head), which keeps \(first.count): kernels that need "
        + "whole blocks refuse it or pad it",
      numbers: [
        "unit": Double(alignment.unit), "heads": Double(misses), "layer": Double(first.layer),
        "head": Double(first.head), "count": Double(first.count),
      ])
  }

  private var targetRatio: Advice? {
    guard let target = subject.document.alignment?.targetRatio else { return nil }
    let drift = statistics.prunedRatio - target
    guard abs(drift) > 0.01 else { return nil }
    return Advice(
      topic: .targetRatio, severity: .warning,
      text: "asked to prune \(Formatting.percent(target)), prunes "
        + "\(Formatting.percent(statistics.prunedRatio)): rounding to blocks moved it; rule budget meets "
        + "a ratio to within one block",
      numbers: ["target_ratio": target, "pruned_ratio": statistics.prunedRatio])
  }

  private var countGroups: Advice? {
    let groups = subject.profile.layers.map { Set($0.counts.filter { $0 > 0 }).count }
    let layers = groups.count { $0 > Advice.kernelGroups }
    guard let most = groups.max(), layers > 0 else { return nil }
    return Advice(
      topic: .countGroups, severity: .warning,
      text:
        "\(counted(layers, "layer")) \(layers == 1 ? "mixes" : "mix") more than "
        + "\(Advice.kernelGroups) kept counts, up to \(most): "
        + "LeanK's own decode kernel takes \(Advice.kernelGroups) groups a layer, a coarser alignment "
        + "makes fewer",
      numbers: [
        "layers": Double(layers), "groups": Double(most), "limit": Double(Advice.kernelGroups),
      ])
  }

  private var rotaryAssumed: Advice? {
    guard !statistics.rotaryIsKnown, !subject.facts.hasUnknownRows else { return nil }
    return Advice(
      topic: .rotaryAssumed, severity: .warning,
      text:
        "no model recorded: half pairs over whole heads are assumed; --model gives the real ones",
      numbers: [
        "layers": Double(
          subject.document.mask.layers.count {
            $0.geometry.hasCache && $0.geometry.attention == nil
          })
      ])
  }

  // MARK: - Notes

  private var layoutRows: Advice? {
    guard !subject.facts.rulesOutRows else { return nil }
    let widths = Set(subject.profile.layers.flatMap(\.closureCounts)).sorted()
    let kept = percent(statistics.closureKept)
    let numbers = [
      "closure_kept_ratio": statistics.closureKeptRatio, "widths": Double(widths.count),
      "uniform_layers": Double(uniform.closureUniformLayers), "layers": Double(uniform.layers),
    ]
    let text: String
    if widths.count == 1 {
      text =
        "layout rows keeps \(kept) of the K rows, \(widths[0]) in every head: leank loads it, and so does a "
        + "runtime that takes a K head size apart from V's and the score scale as given"
    } else if uniform.closureUniformLayers == uniform.layers {
      text =
        "layout rows keeps \(kept) of the K rows with one width a layer: it needs leank or a runtime that "
        + "takes K head sizes by layer"
    } else {
      text =
        "layout rows keeps \(kept) of the K rows, ragged: \(widths.count) head widths, "
        + "\(uniform.layers - uniform.closureUniformLayers) of \(counted(uniform.layers, "layer")) "
        + "mix them; it needs leank or a custom loader that takes a list of head sizes"
    }
    return Advice(topic: .layoutRows, severity: .note, text: text, numbers: numbers)
  }

  private var layoutCache: Advice? {
    let dense = cost.densePerToken
    let middle = cost.middlePerToken
    return Advice(
      topic: .layoutCache, severity: .note,
      text:
        "layout cache leaves the weights alone and keeps \(percent(statistics.channelsKept)) of K, or "
        + "\(Formatting.percent(Double(middle.total) / Double(max(1, dense.total)))) of K and V of middle "
        + "tokens when windowed: it needs leank, or LeanK's own runtime through leank export to .pth, "
        + "round_to \(roundTo)",
      numbers: [
        "kept_ratio": statistics.keptRatio, "round_to": Double(roundTo),
        "middle_kv_ratio": Double(middle.total) / Double(max(1, dense.total)),
      ])
  }

  /// The setting of LeanK's own runtime that knows every kept count: it leaves heads of other counts
  /// without weights, and takes multiples of 32 unless told.
  private var roundTo: Int {
    let unit = statistics.keptCounts.keys.reduce(0) { unit, count in
      var (a, b) = (unit, count)
      while b != 0 { (a, b) = (b, a % b) }
      return a
    }
    return unit.isMultiple(of: 32) ? 32 : unit
  }

  private var layoutZeroed: Advice? {
    guard !subject.facts.rulesOutRows else { return nil }
    return Advice(
      topic: .layoutZeroed, severity: .note,
      text:
        "layout zeroed loads in any runtime with a K cache of full size: it saves 0 bytes and shows "
        + "what static pruning to \(percent(statistics.closureKept)) does to answers",
      numbers: ["closure_kept_ratio": statistics.closureKeptRatio, "saved_bytes": 0])
  }

  private var uniformWidths: Advice? {
    guard uniform.uniformLayers < uniform.layers else { return nil }
    let model = uniform.modelKept.map { ", one for the whole model \(percent($0))" } ?? ""
    let rows =
      subject.facts.rulesOutRows
      ? ""
      : "; of the rows \(percent(uniform.layerClosureKept)) in place of "
        + percent(statistics.closureKept)
    return Advice(
      topic: .uniformWidths, severity: .note,
      text:
        "one width a layer would keep \(percent(uniform.layerKept)) of K in the cache in place of "
        + "\(percent(statistics.channelsKept))\(model)\(rows)",
      numbers: [
        "layer_kept_ratio": share(uniform.layerKept),
        "layer_closure_kept_ratio": share(uniform.layerClosureKept),
        "model_kept_ratio": uniform.modelKept.map(share) ?? .nan,
      ].filter { !$0.value.isNaN })
  }

  private var emptyHeads: Advice? {
    guard statistics.emptyHeads > 0 else { return nil }
    let saved = cost.densePerToken.values - cost.middlePerToken.values
    let wholeLayers = subject.profile.layers.count { $0.geometry.hasCache && $0.kept == 0 }
    let layers =
      wholeLayers > 0
      ? " (\(counted(wholeLayers, "layer")) \(wholeLayers == 1 ? "keeps" : "keep") nothing at all)"
      : ""
    return Advice(
      topic: .emptyHeads, severity: .note,
      text:
        "\(Formatting.count(statistics.emptyHeads)) of \(counted(statistics.heads, "head")) "
        + "empty\(layers): in static mode such a head scores 0 on every key and returns the mean of "
        + "V; in windowed mode it has no middle tokens, \(Formatting.bytes(saved)) of V a token less",
      numbers: [
        "empty_heads": Double(statistics.emptyHeads), "heads": Double(statistics.heads),
        "empty_layers": Double(wholeLayers), "v_bytes_per_token": Double(saved),
      ])
  }
}
