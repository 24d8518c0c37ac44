/// How far two sides' logits lie apart, over all positions.
public struct LogitComparison: Sendable, Hashable {
  /// Largest difference; infinite where one side is not finite and the other is, or not a number.
  public let maximum: Float
  public let mean: Double
  /// Largest Kullback-Leibler divergence of a position, reference against other, in nats; nil where a
  /// logit is not finite.
  public let maximumDivergence: Double?
  /// Mean divergence over all positions, nil likewise.
  public let meanDivergence: Double?
  /// Share of positions where both have the same most likely token.
  public let topAgreement: Double
  /// First position where they do not; nil when there is none.
  public let firstDisagreement: Int?
  /// Largest difference of each position.
  public let byPosition: [Float]

  init(
    _ differences: [LogitDifference], reference: [LogitStatistics], other: [LogitStatistics],
    vocabulary: Int
  ) {
    let count = max(1, differences.count)
    byPosition = differences.map(\.maximum)
    maximum = byPosition.max() ?? 0
    mean = differences.reduce(0) { $0 + $1.sum } / Double(count * max(1, vocabulary))
    let agreeing = zip(reference, other).map { $0.top == $1.top }
    topAgreement = Double(agreeing.count(where: { $0 })) / Double(max(1, agreeing.count))
    firstDisagreement = agreeing.firstIndex(of: false)
    if (reference + other).allSatisfy(\.isFinite) {
      let divergences = differences.indices.map {
        differences[$0].divergence(reference[$0], other[$0])
      }
      maximumDivergence = divergences.max() ?? 0
      meanDivergence = divergences.reduce(0, +) / Double(count)
    } else {
      maximumDivergence = nil
      meanDivergence = nil
    }
  }

  /// First position that differs by more than `limit`.
  public func firstPosition(beyond limit: Double) -> Int? {
    byPosition.firstIndex { !(Double($0) <= limit) }
  }
}

extension Matrix {
  /// Largest absolute difference between elements; infinite where one is not a number.
  public func largestDifference(from other: Matrix) -> Float {
    precondition(rows == other.rows && columns == other.columns)
    var largest: Float = 0
    for index in values.indices {
      let difference = abs(values[index] - other.values[index])
      // Equal infinities are equal.
      if difference.isNaN {
        if values[index] == other.values[index] { continue }
        return .infinity
      }
      largest = max(largest, difference)
    }
    return largest
  }
}
