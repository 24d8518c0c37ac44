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
    /// What curvature is taken of: masks are made from each.
    public var scopes: [CurvatureScope]
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
      pairs: Bool = false, scopes: [CurvatureScope] = [.layer],
      budgets: [LearnBudget] = LearnBudget.allCases, policy: AttentionPolicy,
      draws: Int = 4, seed: UInt64 = 0, batch: Int = 8
    ) {
      self.scoring = scoring
      self.validation = validation
      self.ratios = ratios
      self.unit = unit
      self.pairs = pairs
      self.scopes = scopes
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

  /// Scores of sequences, by scope.
  public typealias Scores = [CurvatureScope: CurvatureScores]

  /// Scores sequences that `scores` lacks, `batch` at a time, those that errors are measured on last;
  /// measures errors on the way where that is possible. `onBatch` gets what was done after each batch.
  public func score(
    _ missing: [Int], into scores: inout Scores, progress: Progress,
    onBatch: ([CurvatureScope: [Int: Curvature.Scores]]) throws -> Void
  ) throws {
    let first = missing.filter { !measured.contains($0) }
    let last = missing.filter { measured.contains($0) }
    let batches = [first, last].flatMap { $0.batches(of: request.batch) }
    for (index, batch) in batches.enumerated() {
      // In the order of one layer's scores: those of the whole model come when all layers are done.
      let order = request.scopes.contains(.layer) ? scores[.layer] ?? CurvatureScores() : nil
      let found = try run(
        batch, measuringBy: batch == Array(measured) ? order : nil,
        throughModel: request.scopes.contains(.model),
        progress: { done, total throws(DecoderError) in
          try progress(index * total + done, batches.count * total)
        })
      var new: [CurvatureScope: [Int: Curvature.Scores]] = [:]
      for scope in request.scopes {
        let own = scope == .layer ? found.scores : found.modelScores ?? []
        new[scope] = Dictionary(uniqueKeysWithValues: zip(batch, own))
        for (number, score) in zip(batch, own) {
          scores[scope, default: CurvatureScores()].add(score, of: number)
        }
      }
      if let errors = found.errors { scores[.layer]?.errors = errors }
      try onBatch(new)
    }
  }

  /// Measures errors where `scores`, which are complete, have none and the budgets ask for them.
  public func measure(_ scores: inout Scores, progress: Progress) throws(DecoderError) {
    guard request.budgets.contains(.measured) else { return }
    let scopes = request.scopes.filter { scores[$0]?.errors == nil }
    for (index, scope) in scopes.enumerated() {
      guard let own = scores[scope] else { continue }
      let found = try run(
        Array(measured), measuringBy: own, isComplete: true, throughModel: false
      ) { done, total throws(DecoderError) in
        try progress(index * total + done, scopes.count * total)
      }
      scores[scope]?.errors = found.errors
    }
  }

  /// One pass. Errors are measured in it where budgets ask for them and `others`, which say the order of
  /// channels, are complete, or will be by what the pass scores in a layer itself.
  private func run(
    _ batch: [Int], measuringBy others: CurvatureScores?, isComplete: Bool = false,
    throughModel: Bool, progress: Progress
  ) throws(DecoderError) -> Curvature {
    var measurement: CurvaturePass.Measurement?
    let known = (others?.sequences ?? [:]).filter { isComplete || !batch.contains($0.key) }
    let count = known.count + (isComplete ? 0 : batch.count)
    if others != nil, request.budgets.contains(.measured), count == request.scoring.count {
      let (geometries, unit, pairs) = (geometries, request.unit, request.pairs)
      measurement = CurvaturePass.Measurement(unit: unit) { layer, own in
        // In the order of the sequences' numbers, as the final scores have them.
        let before = known.keys.sorted().compactMap { known[$0]?[layer] }
        return Self.orders(
          before + (isComplete ? [] : own), geometries[layer], unit: unit, pairs: pairs)
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
      measuring: measurement, throughModel: throughModel, compute, progress: progress)
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
    _ scores: Scores, progress: Progress
  ) throws -> (dense: MaskEvaluation.Predictions, outcomes: [Outcome]) {
    var candidates: [Candidate] = []
    for scope in request.scopes {
      candidates += try Candidate.all(
        scores[scope] ?? CurvatureScores(), scope, geometries, ratios: request.ratios,
        budgets: request.budgets, unit: request.unit, pairs: request.pairs)
    }
    return try judge(candidates, progress: progress)
  }

  /// Judges masks on the validation sequences.
  public func judge(
    _ candidates: [Candidate], progress: Progress
  ) throws -> (dense: MaskEvaluation.Predictions, outcomes: [Outcome]) {
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
