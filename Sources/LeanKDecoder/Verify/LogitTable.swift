/// Statistics of several sides' logits, gathered block by block, and comparisons of pairs of them. No
/// more of the logits is held than a block.
public struct LogitTable: Sendable {
  /// By side and token.
  private var statistics: [[LogitStatistics]]
  private var differences: [[LogitDifference]]
  private let pairs: [Pair]
  private let tokens: [Int32]
  private var vocabulary = 0

  /// Two sides to compare, by number.
  public struct Pair: Sendable, Hashable {
    public let reference: Int
    public let other: Int

    public init(reference: Int, other: Int) {
      self.reference = reference
      self.other = other
    }
  }

  /// For logits at the positions of `tokens`, each of which but the first follows one.
  public init(sides: Int, tokens: [Int32], comparing pairs: [Pair]) {
    statistics = [[LogitStatistics]](
      repeating: .init(repeating: LogitStatistics(), count: tokens.count), count: sides)
    differences = [[LogitDifference]](
      repeating: .init(repeating: LogitDifference(), count: tokens.count), count: pairs.count)
    self.tokens = tokens
    self.pairs = pairs
  }

  /// Takes every side's logits of the vocabulary `range`, [tokens, range] each.
  public mutating func add(_ range: Range<Int>, _ logits: [Matrix], _ compute: ComputeContext) {
    precondition(range.lowerBound == vocabulary && logits.count == statistics.count)
    vocabulary = range.upperBound
    let (tokens, pairs) = (tokens, pairs)
    let sides = statistics.indices
    var rows = tokens.indices.map { row in
      Row(
        statistics: statistics.map { $0[row] }, differences: differences.map { $0[row] })
    }
    rows.withDisjointElements { rows in
      compute.concurrently(tokens.count) { index in
        rows.withElement(index) { row in
          let following = index + 1 < tokens.count ? Int(tokens[index + 1]) : nil
          var weights: [Double] = []
          for side in sides {
            let factor = row.statistics[side].add(
              logits[side].row(index), from: range.lowerBound, following: following,
              weights: &weights)
            for (number, pair) in pairs.enumerated() where pair.reference == side {
              row.differences[number].add(
                logits[side].row(index), logits[pair.other].row(index), weights: weights,
                factor: factor)
            }
          }
        }
      }
    }
    for (index, row) in rows.enumerated() {
      for side in sides { statistics[side][index] = row.statistics[side] }
      for number in pairs.indices { differences[number][index] = row.differences[number] }
    }
  }

  private struct Row: Sendable {
    var statistics: [LogitStatistics]
    var differences: [LogitDifference]
  }

  /// The comparison of one of the pairs.
  public func comparison(_ pair: Int) -> LogitComparison {
    LogitComparison(
      differences[pair], reference: statistics[pairs[pair].reference],
      other: statistics[pairs[pair].other], vocabulary: vocabulary)
  }

  /// First position at which a side has a logit that is not finite; nil when there is none.
  public func firstNonFinite(side: Int) -> Int? {
    statistics[side].firstIndex { !$0.isFinite }
  }

  /// Largest magnitude of a side's logits.
  public func magnitude(side: Int) -> Float { statistics[side].map(\.magnitude).max() ?? 0 }

  /// Mean negative log likelihood, in nats, of each token after the first under the logits before it;
  /// nil when there is no such token, or a logit is not finite.
  public func loss(side: Int) -> Double? {
    let terms = statistics[side].compactMap(\.loss)
    guard !terms.isEmpty, firstNonFinite(side: side) == nil else { return nil }
    return terms.reduce(0, +) / Double(terms.count)
  }
}
