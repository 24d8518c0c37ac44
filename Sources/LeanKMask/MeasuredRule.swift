import HeapModule

/// The rule for errors that were measured: groups are kept where the square root of a head's error
/// falls most a channel. A later group can be worth more than the one before it; then both are kept
/// together, at what they are worth together.
enum MeasuredRule {
  /// The next groups of a head, up to `level` in all.
  private struct Candidate: Comparable {
    let head: Int
    let level: Int
    let gain: Double

    /// The higher gain is chosen first, then the lower head.
    static func < (left: Candidate, right: Candidate) -> Bool {
      left.gain != right.gain ? left.gain < right.gain : left.head > right.head
    }
  }

  static func kept(
    of heads: [ScoredHead], errors: [[Double]], ratio: Double, unit: Int
  ) -> [ChannelSet] {
    let target = Double(heads.reduce(0) { $0 + $1.width }) * (1 - ratio)
    func channels(_ head: Int, _ level: Int) -> Int { min(level * unit, heads[head].width) }
    func candidate(_ head: Int, from level: Int) -> Candidate? {
      let roots = errors[head].map { $0.squareRoot() } + [0]
      var best: Candidate?
      for next in roots.indices where next > level {
        let count = channels(head, next) - channels(head, level)
        let gain = (roots[level] - roots[next]) / Double(count)
        if let best, gain <= best.gain { continue }
        best = Candidate(head: head, level: next, gain: gain)
      }
      return best
    }
    var levels = [Int](repeating: 0, count: heads.count)
    var queue = Heap<Candidate>()
    for head in heads.indices {
      if let first = candidate(head, from: 0) { queue.insert(first) }
    }
    var kept = 0
    var isFull = false
    while !isFull, let best = queue.popMax() {
      // Group by group: the last candidate may be cut where the budget ends.
      while levels[best.head] < best.level {
        let level = levels[best.head]
        let size = channels(best.head, level + 1) - channels(best.head, level)
        // The nearer of the two counts, the larger one in the middle.
        isFull = target - Double(kept) < Double(kept + size) - target
        if isFull { break }
        kept += size
        levels[best.head] += 1
      }
      if !isFull, let next = candidate(best.head, from: levels[best.head]) { queue.insert(next) }
    }
    return heads.indices.map { head in
      ChannelSet(
        width: heads[head].width, channels: heads[head].order.prefix(channels(head, levels[head])))
    }
  }
}
