public import LeanKMask

/// How a budget of channels is spent over the heads.
public enum LearnBudget: String, Sendable, Hashable, CaseIterable {
  /// Rule `budget` over the sums of scores, or over their logarithms.
  case sum, log
  /// By the error that was measured for each number of blocks.
  case measured
}

/// A mask that was made for a ratio, before it is known whether it is the best.
public struct Candidate: Sendable, Hashable {
  /// How a mask was made.
  public enum Way: Sendable, Hashable {
    case curvature(CurvatureScope, LearnBudget)
    case twoStage(Alignment.Rule)

    /// In a word or two.
    public var label: String {
      switch self {
      case .curvature(.layer, let budget): budget.rawValue
      case .curvature(.model, let budget): "model \(budget.rawValue)"
      case .twoStage(let rule): rule.rawValue
      }
    }
  }

  public let ratio: Double
  public let way: Way
  public let selection: MaskSelection

  public init(ratio: Double, way: Way, selection: MaskSelection) {
    self.ratio = ratio
    self.way = way
    self.selection = selection
  }

  /// Masks for each ratio by each budget, ratio after ratio, from the scores of one scope. Fails as
  /// `MaskSelection` does.
  static func all(
    _ scores: CurvatureScores, _ scope: CurvatureScope, _ layers: [LayerGeometry],
    ratios: [Double], budgets: [LearnBudget], unit: Int, pairs: Bool
  ) throws(MaskError) -> [Candidate] {
    let importance = try scores.importance()
    var candidates: [Candidate] = []
    for ratio in ratios {
      for budget in budgets {
        let selection =
          switch budget {
          case .sum, .log:
            try MaskSelection(
              scores: importance, layers: layers, ratio: ratio, unit: unit, rule: .budget,
              budget: budget == .sum ? .sum : .log, pairs: pairs)
          case .measured:
            try MaskSelection(
              errors: (scores.errors ?? []).flatMap(\.self), scores: importance, layers: layers,
              ratio: ratio, unit: unit, pairs: pairs)
          }
        candidates.append(
          Candidate(ratio: ratio, way: .curvature(scope, budget), selection: selection))
      }
    }
    return candidates
  }
}
