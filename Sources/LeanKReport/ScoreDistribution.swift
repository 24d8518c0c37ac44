public import LeanKMask
import RealModule

/// How importance scores are spread over kept and pruned channels.
public struct ScoreDistribution: Sendable, Hashable {
  /// One interval of scores; the last one includes its upper bound.
  public struct Bin: Sendable, Hashable, Encodable {
    public var lower: Double
    public var upper: Double
    public var kept = 0
    public var pruned = 0
  }

  /// How an axis of scores is divided.
  public enum Axis: String, Sendable, Hashable {
    case linear
    /// By equal factors, for scores that are never negative and of which nine in ten lie in the lowest
    /// twentieth.
    case logarithmic = "log"
  }

  public let kind: String
  public let axis: Axis
  /// What a logarithmic axis begins with: the smallest score above 0, at least 1e-12 of the largest.
  private let origin: Double
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

    let smallest = sorted.first { $0 > 0 }.map { max(Double($0), high * 1e-12) } ?? 1
    let isSkewed = low >= 0 && smallest < high && Self.quantile(sorted, at: 0.9) < high / 20
    axis = isSkewed ? .logarithmic : .linear
    origin = smallest
    let width = (high - low) / Double(binCount)
    let bounds = (0...binCount).map { index in
      if index == 0 { return low }
      if index == binCount { return high }
      return isSkewed
        ? smallest * .pow(high / smallest, Double(index) / Double(binCount))
        : low + width * Double(index)
    }
    var bins = (0..<binCount).map { Bin(lower: bounds[$0], upper: bounds[$0 + 1]) }
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
        let bin: Int
        if isSkewed {
          // The last bin that begins at or below the score.
          var (first, end) = (0, binCount)
          while end - first > 1 {
            let middle = (first + end) / 2
            if bounds[middle] <= value { first = middle } else { end = middle }
          }
          bin = first
        } else {
          bin = width > 0 ? min(binCount - 1, Int((value - low) / width)) : 0
        }
        if isKept { bins[bin].kept += 1 } else { bins[bin].pruned += 1 }
      }
    }
    self.bins = bins
    keptBelow = below
    prunedAbove = above
  }

  /// Where a score stands on the axis, 0 to 1; infinite ones at its ends.
  func position(of score: Double) -> Double {
    let (low, high) = axis == .linear ? (minimum, maximum) : (.log(origin), .log(maximum))
    guard high > low, score.isFinite else { return score > 0 ? 1 : 0 }
    let place = axis == .linear ? score : score > 0 ? .log(score) : low
    return max(0, min(1, (place - low) / (high - low)))
  }

  /// The score at a position of the axis, 0 to 1.
  func score(at position: Double) -> Double {
    switch axis {
    case .linear: minimum + position * (maximum - minimum)
    case .logarithmic: position <= 0 ? minimum : origin * .pow(maximum / origin, position)
    }
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
