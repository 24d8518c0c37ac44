import LeanKDecoder
import LeanKModel
import LeanKPruning
import LeanKReport

/// What `verify` found; the property names are the keys of `--json`.
struct VerifyReport: Encodable {
  struct Structure: Encodable {
    var passed = true
    var failures: [String] = []
    var comparedBytes = 0
    /// Release of the loader beside the weights.
    var loader = Nullable<String>(nil)
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
  private(set) var hasStructure = false
  private(set) var layout: PruningLayout?
  var maxAbsDiff = Nullable<Double>(nil)
  var meanAbsDiff = Nullable<Double>(nil)
  var maxKl = Nullable<Double>(nil)
  var top1Agreement = Nullable<Double>(nil)
  var firstDisagreement = Nullable<Int>(nil)
  /// First position beyond the tolerance.
  var firstDifference = Nullable<Int>(nil)
  var tolerance = Nullable<Double>(nil)
  var toleranceReason = Nullable<String>(nil)
  var exact = false
  var tokens = Nullable<Int>(nil)
  var promptLength = Nullable<Int>(nil)
  var middleKeys = Nullable<Int>(nil)
  var layers: [LayerReport] = []
  var drift = Nullable<Drift>(nil)
  var greedy = Nullable<GreedyReport>(nil)
  var kCacheBytes = Nullable<Bytes>(nil)
  var vCacheBytes = Nullable<Bytes>(nil)
  var seconds = 0.0
  var peakMemoryBytes = Nullable<Int>(nil)
  /// Whether the text lists every layer; not part of the JSON.
  var listsLayers = false

  private enum CodingKeys: CodingKey {
    case passed, structure, maxAbsDiff, meanAbsDiff, maxKl, top1Agreement, firstDisagreement
    case firstDifference, tolerance, toleranceReason, exact, tokens, promptLength, middleKeys
    case layers, drift, greedy, kCacheBytes, vCacheBytes, seconds, peakMemoryBytes
  }

  mutating func add(_ proof: StructureProof) {
    hasStructure = true
    layout = proof.layout
    structure = Structure(
      passed: proof.passed, failures: proof.failures.map(\.description),
      comparedBytes: proof.comparedBytes, loader: Nullable(proof.loader))
    passed = passed && proof.passed
  }

  /// `givenTolerance`: the tolerance that the user asked for, nil for the default.
  mutating func add(_ run: Verification, elementBytes: Int, givenTolerance: Double?) {
    passed = passed && run.passed
    maxAbsDiff = Nullable(Double(run.comparison.maximum))
    meanAbsDiff = Nullable(run.comparison.mean)
    maxKl = Nullable(run.comparison.maximumDivergence)
    top1Agreement = Nullable(run.comparison.topAgreement)
    firstDisagreement = Nullable(run.comparison.firstDisagreement)
    firstDifference = Nullable(run.firstDifference)
    tolerance = Nullable(run.tolerance)
    toleranceReason = Nullable(Self.reason(run, given: givenTolerance))
    exact = run.isExact
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

  /// Why the tolerance is what it is.
  private static func reason(_ run: Verification, given: Double?) -> String {
    if run.isExact {
      return "both sides add the same numbers in the same order, a channel that is 0 or not there "
        + "adds nothing"
    }
    if given != nil { return "as asked for" }
    // 3e-5 at logits of 8, in steps of f32 relative to the logit.
    let steps = Formatting.fixed(3e-5 / 8 / Double(Float.ulpOfOne), digits: 1)
    let largest = Formatting.short(Double(run.largestLogit))
    return "\(steps) f32 steps (2^-23) of the largest logit, \(largest) (8 at least): sums in "
      + "different orders stay below it, as measured against float64; --exact allows 0"
  }
}
