import HeapModule

/// LeanK's official rule, ties apart.
enum QuantileRule {
  static func kept(of heads: [ScoredHead], ratio: Double, unit: Int) -> [ChannelSet] {
    let threshold = quantile(heads.flatMap(\.scores), ratio)
    return heads.map { head in
      let above = head.scores.count { $0 >= threshold }
      // the nearest multiple, halves up
      let multiple = (2 * above + unit) / (2 * unit) * unit
      let count = min(multiple, head.width)
      return ChannelSet(width: head.width, channels: head.order.prefix(count))
    }
  }

  /// numpy's quantile with linear interpolation, bit for bit: `values` are finite and not empty,
  /// `share` is in 0...1.
  static func quantile(_ values: [Double], _ share: Double) -> Double {
    let sorted = values.sorted()
    let position = Double(sorted.count - 1) * share
    let below = position.rounded(.down)
    let index = Int(below)
    guard index < sorted.count - 1 else { return sorted[sorted.count - 1] }
    let (low, high) = (sorted[index], sorted[index + 1])
    let weight = position - below
    let step = high - low
    // numpy walks from the nearer end
    return weight < 0.5 ? low + step * weight : high - step * (1 - weight)
  }
}

/// The rule that meets the ratio: groups of channels by their summed score, per channel.
///
/// Groups of one size go by their sum. Where the unit does not divide a head_dim, the head's last
/// group is smaller, and by its sum alone it would lose to a full group of poorer channels: so all are
/// compared by the mean of their channels. A head's means never rise from group to group. Hence
/// whatever count the rule arrives at, no choice of groups that keeps the same count has a larger sum,
/// the `leank` rule's included (swapping any groups out for as many channels of others loses).
///
/// What cannot be promised is the `leank` rule's own count. It depends on which heads it keeps whole;
/// to reach a given count from groups of different sizes is the subset-sum problem, and may cost
/// score. Here the count is the nearest that the best groups arrive at, at most a unit away. Where the
/// unit divides every head_dim, it is the same.
enum BudgetRule {
  /// The next group of a head that is not yet kept.
  private struct Candidate: Comparable {
    let head: Int
    let group: Int
    let size: Int
    let mean: Double

    /// The higher mean is chosen first, then the lower head.
    static func < (left: Candidate, right: Candidate) -> Bool {
      left.mean != right.mean ? left.mean < right.mean : left.head > right.head
    }
  }

  static func kept(of heads: [ScoredHead], ratio: Double, unit: Int) -> [ChannelSet] {
    let channels = heads.reduce(0) { $0 + $1.width }
    let target = Double(channels) * (1 - ratio)
    var groups = [Int](repeating: 0, count: heads.count)
    var queue = Heap<Candidate>()
    for head in heads.indices {
      if let first = candidate(heads[head], head, 0, unit) { queue.insert(first) }
    }
    var kept = 0
    // a head's groups enter one after the other, so none is kept before an earlier one
    while let best = queue.popMax() {
      // the nearer of the two counts, the larger one in the middle
      guard target - Double(kept) >= Double(kept + best.size) - target else { break }
      kept += best.size
      groups[best.head] += 1
      let head = best.head
      if let next = candidate(heads[head], head, best.group + 1, unit) {
        queue.insert(next)
      }
    }
    return heads.indices.map { head in
      ChannelSet(width: heads[head].width, channels: heads[head].order.prefix(groups[head] * unit))
    }
  }

  private static func candidate(
    _ head: ScoredHead, _ index: Int, _ group: Int, _ unit: Int
  ) -> Candidate? {
    let start = group * unit
    guard start < head.width else { return nil }
    let members = head.order[start..<min(start + unit, head.width)]
    return Candidate(
      head: index, group: group, size: members.count,
      mean: members.reduce(0) { $0 + head.scores[$1] } / Double(members.count))
  }
}
