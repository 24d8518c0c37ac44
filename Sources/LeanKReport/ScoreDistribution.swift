public import LeanKMask

/// How importance scores are spread over kept and pruned channels.
public struct ScoreDistribution: Sendable, Hashable {
  /// One interval of scores; the last one includes its upper bound.
  public struct Bin: Sendable, Hashable {
    public var lower: Double
    public var upper: Double
    public var kept = 0
    public var pruned = 0
  }

  public let kind: String
  /// Smallest and largest finite score.
  public let minimum: Double
  public let maximum: Double
  public let bins: [Bin]
  /// The quantile of the finite scores at `ratio`, interpolated between neighbours as numpy does.
  public let threshold: Double
  /// The target ratio of the alignment, else the pruned ratio of the mask.
  public let ratio: Double
  /// Kept channels that score below the threshold, and pruned ones that reach it: what alignment
  /// moved, when the scores decided.
  public let keptBelow: Int
  public let prunedAbove: Int
  /// Scores that are infinite, which no bin holds.
  public let infinite: Int

  /// nil when the document has no scores, or no finite one.
  public init?(of document: MaskDocument, binCount: Int = 40) {
    guard let scores = document.scores else { return nil }
    let values = scores.values
    let sorted = values.filter(\.isFinite).sorted()
    guard let first = sorted.first, let last = sorted.last else { return nil }
    kind = scores.kind
    let low = Double(first)
    let high = Double(last)
    (minimum, maximum) = (low, high)
    infinite = values.count - sorted.count
    ratio = document.alignment?.targetRatio ?? MaskStatistics(of: document.mask).prunedRatio
    let cut = Self.quantile(sorted, at: ratio)
    threshold = cut

    let width = (high - low) / Double(binCount)
    var bins = (0..<binCount).map { index in
      Bin(
        lower: low + width * Double(index),
        upper: index == binCount - 1 ? high : low + width * Double(index + 1))
    }
    var below = 0
    var above = 0
    var index = 0
    for head in document.mask.layers.lazy.flatMap(\.heads) {
      for channel in 0..<head.width {
        let value = Double(values[index])
        index += 1
        let isKept = head[channel]
        if isKept, value < cut { below += 1 }
        if !isKept, value >= cut { above += 1 }
        guard value.isFinite else { continue }
        let bin = width > 0 ? min(binCount - 1, Int((value - low) / width)) : 0
        if isKept { bins[bin].kept += 1 } else { bins[bin].pruned += 1 }
      }
    }
    self.bins = bins
    keptBelow = below
    prunedAbove = above
  }

  /// Linear interpolation between the two neighbours of rank `ratio * (count - 1)`.
  private static func quantile(_ sorted: [Float], at ratio: Double) -> Double {
    let rank = ratio * Double(sorted.count - 1)
    let lower = Int(rank)
    let upper = min(lower + 1, sorted.count - 1)
    let (a, b) = (Double(sorted[lower]), Double(sorted[upper]))
    return a + (b - a) * (rank - Double(lower))
  }
}
