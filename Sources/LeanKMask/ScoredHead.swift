import RealModule

/// One head's scores, with the order in which its channels are kept.
struct ScoredHead: Sendable {
  /// Score of each channel; the two of a pair share their mean.
  let scores: [Double]
  /// The channels in the order they are kept, best first: higher score, then lower channel.
  let order: [Int]

  var width: Int { scores.count }

  /// Without pairs every channel stands for itself.
  init(_ values: [Double]) {
    scores = values
    order = Self.sorted(values.indices.map { [$0] }, by: values).flatMap(\.self)
  }

  /// With pairs two channels are kept or pruned at a time, so that every even count is closed.
  ///
  /// Channels without a partner go by twos as well, the best two first: as kept counts are even,
  /// the first channels of the order then have the largest sum that any closed choice of as many has.
  init(_ values: [Double], rotary: RotaryGeometry) {
    var scores = values
    var pairs: [[Int]] = []
    var single: [[Int]] = []
    for channel in values.indices {
      guard let partner = rotary.partner(of: channel) else {
        single.append([channel])
        continue
      }
      guard channel < partner else { continue }
      let mean = (values[channel] + values[partner]) / 2
      scores[channel] = mean
      scores[partner] = mean
      pairs.append([channel, partner])
    }
    single = Self.sorted(single, by: values)
    for index in stride(from: 0, to: single.count, by: 2) {
      pairs.append(single[index] + single[index + 1])
    }
    self.scores = scores
    order = Self.sorted(pairs, by: scores).flatMap(\.self)
  }

  private init(scores: [Double], order: [Int]) {
    self.scores = scores
    self.order = order
  }

  /// The same heads in the same order with the logarithms of their scores. Scores of 0 count as a
  /// 10^12th of the largest of all. Fails with `.scores` where one is negative.
  static func logarithms(_ heads: [ScoredHead]) throws(MaskError) -> [ScoredHead] {
    let all = heads.lazy.flatMap(\.scores)
    guard all.allSatisfy({ $0 >= 0 }) else {
      throw MaskError(.scores, "a score is negative, a budget of logarithms takes none below 0")
    }
    let least = max((all.max() ?? 0) * 1e-12, .leastNormalMagnitude)
    return heads.map { head in
      ScoredHead(scores: head.scores.map { Double.log(max($0, least)) }, order: head.order)
    }
  }

  /// Higher sum first, then the lower first channel; the items are of one size.
  private static func sorted(_ items: [[Int]], by scores: [Double]) -> [[Int]] {
    let keyed = items.map { item in (item, sum: item.reduce(0) { $0 + scores[$1] }) }
    return keyed.sorted { left, right in
      left.sum != right.sum ? left.sum > right.sum : left.0[0] < right.0[0]
    }.map(\.0)
  }
}
