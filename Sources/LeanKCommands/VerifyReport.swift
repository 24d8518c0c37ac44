import LeanKCheckpoint
import LeanKDecoder
import LeanKReport

/// What `verify` found; the property names are the keys of `--json`.
struct VerifyReport: Encodable {
  struct Structure: Encodable {
    var passed = true
    var failures: [String] = []
    var comparedBytes = 0
  }

  struct LayerReport: Encodable {
    var layer: Int
    var maxAbsDiffHidden: Double
    var maxAbsDiffAttention: Double
  }

  struct Drift: Encodable {
    var lossDense: Nullable<Double>
    var lossMasked: Nullable<Double>
    var maxAbsDiff: Double
    var maxKl: Double
    var top1Agreement: Double
  }

  struct GreedyReport: Encodable {
    var dense: [Int32]
    var masked: [Int32]
    var pruned: [Int32]
  }

  struct Bytes: Encodable {
    var dense: Int
    var pruned: Int
  }

  var passed = true
  var structure = Structure()
  /// Whether structure was compared at all; not part of the JSON.
  private var hasStructure = false
  private var layout: PruningLayout?
  var maxAbsDiff = Nullable<Double>(nil)
  var meanAbsDiff = Nullable<Double>(nil)
  var maxKl = Nullable<Double>(nil)
  var top1Agreement = Nullable<Double>(nil)
  var firstDisagreement = Nullable<Int>(nil)
  var tolerance = Nullable<Double>(nil)
  var tokens = Nullable<Int>(nil)
  var promptLength = Nullable<Int>(nil)
  var middleKeys = Nullable<Int>(nil)
  var layers: [LayerReport] = []
  var drift = Nullable<Drift>(nil)
  var greedy = Nullable<GreedyReport>(nil)
  var kCacheBytes = Nullable<Bytes>(nil)
  var vCacheBytes = Nullable<Bytes>(nil)
  var seconds = 0.0

  private enum CodingKeys: CodingKey {
    case passed, structure, maxAbsDiff, meanAbsDiff, maxKl, top1Agreement, firstDisagreement
    case tolerance, tokens, promptLength, middleKeys, layers, drift, greedy, kCacheBytes
    case vCacheBytes, seconds
  }

  mutating func add(_ proof: StructureProof) {
    hasStructure = true
    layout = proof.layout
    structure = Structure(
      passed: proof.passed, failures: proof.failures.map(\.description),
      comparedBytes: proof.comparedBytes)
    passed = passed && proof.passed
  }

  mutating func add(_ run: Verification, elementBytes: Int) {
    passed = passed && run.passed
    maxAbsDiff = Nullable(Double(run.comparison.maximum))
    meanAbsDiff = Nullable(run.comparison.mean)
    maxKl = Nullable(run.comparison.maximumDivergence)
    top1Agreement = Nullable(run.comparison.topAgreement)
    firstDisagreement = Nullable(run.comparison.firstDisagreement)
    tolerance = Nullable(run.tolerance)
    tokens = Nullable(run.tokens.count)
    promptLength = Nullable(run.promptLength)
    middleKeys = Nullable(run.middleKeys)
    layers = run.layers.map {
      LayerReport(
        layer: $0.layer, maxAbsDiffHidden: Double($0.maximumHidden),
        maxAbsDiffAttention: Double($0.maximumAttention))
    }
    drift = Nullable(
      Drift(
        lossDense: Nullable(run.lossDense), lossMasked: Nullable(run.lossMasked),
        maxAbsDiff: Double(run.drift.maximum), maxKl: run.drift.maximumDivergence,
        top1Agreement: run.drift.topAgreement))
    greedy = Nullable(
      run.greedy.map { GreedyReport(dense: $0.dense, masked: $0.masked, pruned: $0.pruned) })
    kCacheBytes = Nullable(
      Bytes(
        dense: run.denseCache.keys * elementBytes, pruned: run.prunedCache.keys * elementBytes))
    vCacheBytes = Nullable(
      Bytes(
        dense: run.denseCache.values * elementBytes, pruned: run.prunedCache.values * elementBytes))
  }

  // MARK: - Text

  var text: String {
    var lines: [String] = []
    if hasStructure { lines += structureLines }
    lines += decodeLines + greedyLines
    lines.append(passed ? "passed" : "FAILED")
    return lines.joined(separator: "\n")
  }

  private var structureLines: [String] {
    guard structure.passed else {
      return [Formatting.row("structure", "\(structure.failures.count) differences")]
        + structure.failures.prefix(40).map { "  " + $0 }
        + (structure.failures.count > 40 ? ["  ... (all of them with --json)"] : [])
    }
    return [
      Formatting.row(
        "structure",
        "layout \(layout?.rawValue ?? ""): every tensor is what the mask asks for "
          + "(\(Formatting.bytes(structure.comparedBytes)) compared)")
    ]
  }

  private var decodeLines: [String] {
    guard let tokens = tokens.wrapped, let prompt = promptLength.wrapped,
      let difference = maxAbsDiff.wrapped, let mean = meanAbsDiff.wrapped,
      let divergence = maxKl.wrapped, let agreement = top1Agreement.wrapped,
      let tolerance = tolerance.wrapped, let drift = drift.wrapped,
      let keys = kCacheBytes.wrapped, let values = vCacheBytes.wrapped
    else { return [] }
    let middle =
      middleKeys.wrapped.map { $0 > 0 ? ", \(Formatting.count($0)) middle keys" : "" } ?? ""
    var lines = [
      Formatting.row(
        "decoded", "\(prompt) tokens in one pass and \(tokens - prompt) one by one\(middle)"),
      Formatting.row(
        "pruned",
        "largest difference from dense + mask \(Formatting.scientific(difference)), mean "
          + "\(Formatting.scientific(mean)); tolerance \(Formatting.scientific(tolerance))"),
      Formatting.row(
        "",
        "top-1 agreement \(Formatting.percent(agreement)), largest KL "
          + Formatting.scientific(divergence)),
    ]
    if let worst = layers.max(by: { $0.maxAbsDiffHidden < $1.maxAbsDiffHidden }) {
      lines.append(
        Formatting.row(
          "",
          "layer that differs most: \(worst.layer), by \(Formatting.scientific(worst.maxAbsDiffHidden))"
        ))
    }
    let loss = zip([drift.lossDense.wrapped], [drift.lossMasked.wrapped]).map { dense, masked in
      guard let dense, let masked else { return "" }
      return "loss \(Formatting.decimal(dense)) -> \(Formatting.decimal(masked)), "
    }.joined()
    lines.append(
      Formatting.row(
        "drift",
        "\(loss)top-1 agreement \(Formatting.percent(drift.top1Agreement)), largest KL "
          + "\(Formatting.scientific(drift.maxKl)) (the mask's effect, no failure)"))
    lines.append(
      Formatting.row(
        "K cache",
        "\(Formatting.bytes(keys.dense)) -> \(Formatting.bytes(keys.pruned)); V cache "
          + "\(Formatting.bytes(values.dense)) -> \(Formatting.bytes(values.pruned))"))
    return lines
  }

  private var greedyLines: [String] {
    guard let greedy = greedy.wrapped else { return [] }
    func row(_ label: String, _ ids: [Int32]) -> String {
      Formatting.row(label, ids.map(String.init).joined(separator: " "))
    }
    return [
      Formatting.row(
        "greedy",
        greedy.masked == greedy.pruned ? "masked and pruned agree" : "masked and pruned DIFFER"),
      row("  dense", greedy.dense), row("  masked", greedy.masked), row("  pruned", greedy.pruned),
    ]
  }
}
