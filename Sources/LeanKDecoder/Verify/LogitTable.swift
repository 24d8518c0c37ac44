/// Statistics of several sides' logits, gathered block by block, and comparisons of pairs of them. No
/// more of the logits is held than a block.
public struct LogitTable: Sendable {
  /// By side and token.
  private var statistics: [[LogitStatistics]]
  private var differences: [[LogitDifference]]
  private let pairs: [Pair]
  /// The token that follows each position, where it is given.
  private let following: [Int32?]
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
    self.init(
      sides: sides, following: tokens.dropFirst().map { $0 } + (tokens.isEmpty ? [] : [nil]),
      comparing: pairs)
  }

  /// For logits at as many positions as `following` has elements: the token after each.
  init(sides: Int, following: [Int32?], comparing pairs: [Pair]) {
    statistics = [[LogitStatistics]](
      repeating: .init(repeating: LogitStatistics(), count: following.count), count: sides)
    differences = [[LogitDifference]](
      repeating: .init(repeating: LogitDifference(), count: following.count), count: pairs.count)
    self.following = following
    self.pairs = pairs
  }

  /// Takes every side's logits of the vocabulary `range`, [tokens, range] each.
  public mutating func add(_ range: Range<Int>, _ logits: [Matrix], _ compute: ComputeContext) {
    precondition(range.lowerBound == vocabulary && logits.count == statistics.count)
    vocabulary = range.upperBound
    let (following, pairs) = (following, pairs)
    let sides = statistics.indices
    var rows = following.indices.map { row in
      Row(
        statistics: statistics.map { $0[row] }, differences: differences.map { $0[row] })
    }
    rows.withDisjointElements { rows in
      compute.concurrently(following.count) { index in
        rows.withElement(index) { row in
          let following = following[index].map { Int($0) }
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

  /// What each position predicts, by side; divergence is from the reference of the pair in which the
  /// side is the other one, 0 for a side that is in none.
  func predictions() -> [[Prediction]] {
    statistics.indices.map { side in
      let number = pairs.firstIndex { $0.other == side }
      return statistics[side].enumerated().map { position, found in
        Prediction(
          top: found.top, loss: found.loss ?? 0,
          divergence: number.map {
            differences[$0][position].divergence(
              statistics[pairs[$0].reference][position], found)
          } ?? 0)
      }
    }
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
