public import LeanKDecoder
public import LeanKMask
import LeanKModel

/// Makes masks of a model: scores its channels on some sequences, spends the budget in several ways, and
/// keeps for each ratio the mask that changes the predictions of other sequences least.
public struct Learning {
  public let store: WeightStore
  public let geometries: [LayerGeometry]
  public let request: Request
  public let compute: ComputeContext

  /// What is to be learned, and from what.
  public struct Request: Sendable {
    /// Sequences to score, and others to judge by.
    public var scoring: [ContextSample]
    public var validation: [ContextSample]
    /// Shares of the channels to prune.
    public var ratios: [Double]
    /// Every head keeps a multiple of this many channels, or all it has.
    public var unit: Int
    /// Whether the channels of a rotary pair are kept or pruned together.
    public var pairs: Bool
    public var budgets: [LearnBudget]
    public var policy: AttentionPolicy
    /// Random directions a sequence.
    public var draws: Int
    public var seed: UInt64
    /// Sequences that go through the model together, each weight read once for all of them; no
    /// result depends on it.
    public var batch: Int

    public init(
      scoring: [ContextSample], validation: [ContextSample], ratios: [Double], unit: Int,
      pairs: Bool = false, budgets: [LearnBudget] = LearnBudget.allCases, policy: AttentionPolicy,
      draws: Int = 4, seed: UInt64 = 0, batch: Int = 8
    ) {
      self.scoring = scoring
      self.validation = validation
      self.ratios = ratios
      self.unit = unit
      self.pairs = pairs
      self.budgets = budgets
      self.policy = policy
      self.draws = draws
      self.seed = seed
      self.batch = batch
    }
  }

  /// What came out for one ratio.
  public struct Outcome: Sendable, Hashable {
    public let ratio: Double
    /// All masks that were made for the ratio.
    public let candidates: [Judged]
    /// The one with the lowest divergence, the first of equals.
    public let best: Judged
  }

  /// A mask with what it leaves of the model on the validation sequences.
  public struct Judged: Sendable, Hashable {
    public let candidate: Candidate
    public let predictions: MaskEvaluation.Predictions
  }

  public init(
    _ store: WeightStore, _ request: Request, _ compute: ComputeContext
  ) throws(MaskError) {
    self.store = store
    self.request = request
    self.compute = compute
    geometries = try store.model.description.geometries
  }

  public typealias Progress = (_ done: Int, _ total: Int) throws(DecoderError) -> Void

  // MARK: - Scores

  /// Numbers of all sequences, and of the last ones, on which errors are measured.
  public var sequences: Range<Int> { request.scoring.indices }
  public var measured: Range<Int> { sequences.suffix(Self.measuredCount) }
  private static let measuredCount = 8

  /// Scores sequences that `scores` lacks, `batch` at a time, those that errors are measured on last;
  /// measures errors on the way where that is possible. `onBatch` gets what was done after each batch.
  public func score(
    _ missing: [Int], into scores: inout CurvatureScores, progress: Progress,
    onBatch: ([Int: Curvature.Scores]) throws -> Void
  ) throws {
    let first = missing.filter { !measured.contains($0) }
    let last = missing.filter { measured.contains($0) }
    let batches = [first, last].flatMap { $0.batches(of: request.batch) }
    for (index, batch) in batches.enumerated() {
      let found = try run(
        batch, knowing: scores, measuring: batch == Array(measured),
        progress: { done, total throws(DecoderError) in
          try progress(index * total + done, batches.count * total)
        })
      let new = Dictionary(uniqueKeysWithValues: zip(batch, found.scores))
      for (number, score) in new { scores.add(score, of: number) }
      if let errors = found.errors { scores.errors = errors }
      try onBatch(new)
    }
  }

  /// Measures errors where `scores`, which are complete, have none and the budgets ask for them.
  public func measure(
    _ scores: inout CurvatureScores, progress: Progress
  ) throws(DecoderError) {
    guard scores.errors == nil, request.budgets.contains(.measured) else { return }
    let others = CurvatureScores(scores.sequences.filter { !measured.contains($0.key) })
    scores.errors =
      try run(Array(measured), knowing: others, measuring: true, progress: progress).errors
  }

  /// One pass. Errors are measured in it where it makes all scores complete.
  private func run(
    _ batch: [Int], knowing others: CurvatureScores, measuring: Bool, progress: Progress
  ) throws(DecoderError) -> Curvature {
    let known = others.sequences.filter { !batch.contains($0.key) }
    var measurement: CurvaturePass.Measurement?
    if measuring, request.budgets.contains(.measured),
      known.count + batch.count == request.scoring.count
    {
      let (geometries, unit, pairs) = (geometries, request.unit, request.pairs)
      measurement = CurvaturePass.Measurement(unit: unit) { layer, own in
        // In the order of the sequences' numbers, as the final scores have them.
        let before = known.keys.sorted().compactMap { known[$0]?[layer] }
        return Self.orders(before + own, geometries[layer], unit: unit, pairs: pairs)
      }
    }
    return try CurvaturePass.run(
      store,
      CurvaturePass.Request(
        batch.map { number in
          let sample = request.scoring[number]
          return (
            number,
            ContextPass.Context(tokens: Array(sample.context), queries: sample.queries)
          )
        }, policy: request.policy, draws: request.draws, seed: request.seed),
      measuring: measurement, compute, progress: progress)
  }

  private static func orders(
    _ sequences: [[[Double]]], _ geometry: LayerGeometry, unit: Int, pairs: Bool
  ) -> [[Int]] {
    let heads = 0..<geometry.kvHeads
    // Scores that are no numbers have no order; choosing from them fails by name later.
    guard
      let scores = try? ImportanceScores(
        kind: CurvatureScores.kind, values: CurvatureScores.means(sequences)),
      let orders = try? MaskSelection.orders(scores, [geometry], unit: unit, pairs: pairs)
    else { return heads.map { _ in Array(0..<geometry.headDim) } }
    return orders
  }

  // MARK: - Masks

  /// Makes the masks and judges each on the validation sequences.
  public func outcomes(
    _ scores: CurvatureScores, progress: Progress
  ) throws -> (dense: MaskEvaluation.Predictions, outcomes: [Outcome]) {
    let candidates = try Candidate.all(
      scores, geometries, ratios: request.ratios, budgets: request.budgets, unit: request.unit,
      pairs: request.pairs)
    // Masks that are the same are judged once.
    var masks: [ChannelMask] = []
    for candidate in candidates where !masks.contains(candidate.selection.mask) {
      masks.append(candidate.selection.mask)
    }
    let evaluation = try MaskEvaluation.run(
      store, request.validation, uses: masks.map { .init($0, request.policy) },
      batch: request.batch, compute, progress: progress)
    var outcomes: [Outcome] = []
    for ratio in request.ratios {
      let judged = candidates.filter { $0.ratio == ratio }.map { candidate in
        let number = masks.firstIndex(of: candidate.selection.mask) ?? 0
        return Judged(candidate: candidate, predictions: evaluation.masked[number])
      }
      guard let best = judged.min(by: { $0.predictions.divergence < $1.predictions.divergence })
      else { continue }
      outcomes.append(Outcome(ratio: ratio, candidates: judged, best: best))
    }
    return (evaluation.dense, outcomes)
  }
}

extension Array {
  /// The elements cut into pieces of `size`, the last one maybe shorter.
  fileprivate func batches(of size: Int) -> [[Element]] {
    stride(from: 0, to: count, by: Swift.max(1, size)).map {
      Array(self[$0..<Swift.min($0 + Swift.max(1, size), count)])
    }
  }
}
