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
  }

  struct LayerReport: Encodable {
    var layer: Int
    var maxAbsDiffHidden: Nullable<Double>
    var maxAbsDiffAttention: Nullable<Double>
    var exact: Bool
  }

  struct ExactReport: Encodable {
    /// null where it is not finite.
    var maxAbsDiff: Nullable<Double>
  }

  struct IndependentReport: Encodable {
    var maxAbsDiff: Nullable<Double>
    var noise: Nullable<Double>
    var limit: Nullable<Double>
  }

  struct NonFiniteReport: Encodable {
    var side: String
    var token: Int
  }

  struct Drift: Encodable {
    var lossDense: Nullable<Double>
    var lossMasked: Nullable<Double>
    var maxAbsDiff: Nullable<Double>
    var maxKl: Nullable<Double>
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
  /// Whether anything was decoded; not part of the JSON.
  private(set) var hasDecoded = false
  private(set) var layout: PruningLayout?
  var maxAbsDiff = Nullable<Double>(nil)
  var meanAbsDiff = Nullable<Double>(nil)
  var maxKl = Nullable<Double>(nil)
  var top1Agreement = Nullable<Double>(nil)
  var firstDisagreement = Nullable<Int>(nil)
  /// First position beyond the tolerance.
  var firstDifference = Nullable<Int>(nil)
  /// The tolerance that was asked for.
  var tolerance = Nullable<Double>(nil)
  var exact = Nullable<ExactReport>(nil)
  var independent = Nullable<IndependentReport>(nil)
  var nonFinite = Nullable<NonFiniteReport>(nil)
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
    case firstDifference, tolerance, exact, independent, nonFinite, tokens, promptLength, middleKeys
    case layers, drift, greedy, kCacheBytes, vCacheBytes, seconds, peakMemoryBytes
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
    hasDecoded = true
    maxAbsDiff = Nullable(finite: run.comparison.maximum)
    meanAbsDiff = Nullable(finite: run.comparison.mean)
    maxKl = Nullable(run.comparison.maximumDivergence)
    top1Agreement = Nullable(run.comparison.topAgreement)
    firstDisagreement = Nullable(run.comparison.firstDisagreement)
    firstDifference = Nullable(run.firstDifference)
    tolerance = Nullable(run.tolerance)
    exact = Nullable(run.exactMaximum.map { ExactReport(maxAbsDiff: Nullable(finite: $0)) })
    independent = Nullable(
      run.independent.map {
        IndependentReport(
          maxAbsDiff: Nullable(finite: $0.maximum), noise: Nullable(finite: $0.noise),
          limit: Nullable(finite: $0.limit))
      })
    nonFinite = Nullable(
      run.nonFinite.map { NonFiniteReport(side: $0.side.rawValue, token: $0.position) })
    tokens = Nullable(run.tokens.count)
    promptLength = Nullable(run.promptLength)
    middleKeys = Nullable(run.middleKeys)
    layers = run.layers.map {
      LayerReport(
        layer: $0.layer, maxAbsDiffHidden: Nullable(finite: $0.maximumHidden),
        maxAbsDiffAttention: Nullable(finite: $0.maximumAttention), exact: $0.isExact)
    }
    drift = Nullable(
      Drift(
        lossDense: Nullable(run.lossDense), lossMasked: Nullable(run.lossMasked),
        maxAbsDiff: Nullable(finite: run.drift.maximum),
        maxKl: Nullable(run.drift.maximumDivergence), top1Agreement: run.drift.topAgreement))
    greedy = Nullable(
      run.greedy.map { GreedyReport(dense: $0.dense, masked: $0.masked, pruned: $0.pruned) })
    kCacheBytes = Nullable(
      Bytes(
        dense: run.denseCache.keys * elementBytes, pruned: run.prunedCache.keys * elementBytes))
    vCacheBytes = Nullable(
      Bytes(
        dense: run.denseCache.values * elementBytes, pruned: run.prunedCache.values * elementBytes))
  }
}

extension Nullable where Wrapped == Double {
  /// null where `value` is infinite or not a number: JSON has neither.
  init(finite value: some BinaryFloatingPoint) { self.init(value.isFinite ? Double(value) : nil) }
}
