/// A mask chosen from importance scores, and what to tell about the choice.
public struct MaskSelection: Sendable, Hashable {
  /// What the person who asked should know.
  public enum Warning: Sendable, Hashable, CustomStringConvertible {
    /// The share of pruned channels is more than a hundredth away from the one asked for.
    case ratioDrift(target: Double, realised: Double)
    /// The unit does not divide a head_dim, so that the last group of a head is smaller.
    case partialGroup(unit: Int, headDim: Int)

    public var description: String {
      switch self {
      case .ratioDrift(let target, let realised):
        "asked to prune \(target) of the channels, the rule prunes \(realised)"
      case .partialGroup(let unit, let headDim):
        "unit \(unit) does not divide head_dim \(headDim)"
      }
    }
  }

  /// How groups of channels count against each other under rule `budget`.
  public enum Budget: String, Sendable, Hashable, CaseIterable {
    /// By the sum of their scores.
    case sum
    /// By the product of their scores: what matters is by which factor one is better than another.
    case log
  }

  public let mask: ChannelMask
  /// Unit, rule and target ratio, as a `.leank` file records them.
  public let alignment: Alignment
  public let warnings: [Warning]

  /// Share of channels that the mask prunes.
  public var realisedRatio: Double {
    Double(mask.channels - mask.keptCount) / Double(mask.channels)
  }

  /// Drift of the pruned share past which `ratioDrift` is said.
  public static let driftTolerance = 0.01
  /// Largest unit, well above any head_dim.
  public static let unitLimit = 1 << 16

  /// Chooses the channels to keep.
  ///
  /// - Parameters:
  ///   - scores: one number a channel, in the order layer, KV head, channel.
  ///   - layers: geometry of each layer; pairs come from its rotation, or from the assumed one.
  ///   - ratio: share of channels to prune, in 0...1.
  ///   - unit: every head keeps a multiple of so many channels, or all it has.
  ///   - rule: `.leank`, the official one: threshold at the quantile `ratio` of all scores, then each
  ///     head's count to the nearest multiple, halves up. `.budget`: each head's channels sorted by
  ///     score and cut into groups of `unit`, the best groups of all heads until the kept share is
  ///     as near to 1 - `ratio` as groups allow; no other choice that keeps as many channels, in
  ///     multiples of `unit` or whole heads, has a larger sum of scores. Ties go to the lower layer,
  ///     head and channel.
  ///   - budget: what rule `budget` sums up: the scores or, for scores of 0 and above, their logarithms.
  ///   - pairs: whether the two channels that RoPE rotates together are kept or pruned together, each
  ///     standing for the mean of their scores, so that the mask is its own closure.
  ///
  /// Fails with `.scores` when they do not fit the layers or are infinite, and `.alignment` for a
  /// ratio, unit or rule that cannot be: with pairs, unit and head_dim are even.
  public init(
    scores: ImportanceScores, layers: [LayerGeometry], ratio: Double, unit: Int,
    rule: Alignment.Rule, budget: Budget = .sum, pairs: Bool = false
  ) throws(MaskError) {
    let alignment = try Alignment(unit: unit, rule: rule, targetRatio: ratio)
    let heads = try Self.heads(scores, layers, unit: unit, pairs: pairs)
    let kept: [ChannelSet]
    switch (rule, budget) {
    case (.leank, _): kept = QuantileRule.kept(of: heads, ratio: ratio, unit: unit)
    case (.budget, .sum): kept = BudgetRule.kept(of: heads, ratio: ratio, unit: unit)
    case (.budget, .log):
      kept = BudgetRule.kept(of: try ScoredHead.logarithms(heads), ratio: ratio, unit: unit)
    case (.given, _):
      throw MaskError(.alignment, "rule given records a mask as found, it chooses none")
    }
    try self.init(kept, layers, alignment)
  }

  /// Chooses the channels to keep by what it costs a head to keep so many.
  ///
  /// - Parameters:
  ///   - errors: of each head, the error of keeping its first 0, `unit`, 2 `unit`, ... channels in the
  ///     order that `orders` gives; keeping all costs nothing and is left out.
  ///   - scores, layers, ratio, unit, pairs: as above.
  ///
  /// Groups are kept where the square root of the error falls most a channel. Fails as above, and with
  /// `.scores` where the errors do not fit the heads.
  public init(
    errors: [[Double]], scores: ImportanceScores, layers: [LayerGeometry], ratio: Double, unit: Int,
    pairs: Bool = false
  ) throws(MaskError) {
    let alignment = try Alignment(unit: unit, rule: .budget, targetRatio: ratio)
    let heads = try Self.heads(scores, layers, unit: unit, pairs: pairs)
    guard errors.count == heads.count,
      zip(errors, heads).allSatisfy({ $0.count == ($1.width + unit - 1) / unit }),
      errors.allSatisfy({ $0.allSatisfy { $0.isFinite && $0 >= 0 } })
    else {
      throw MaskError(.scores, "measured errors are not one for each number of groups of each head")
    }
    try self.init(
      MeasuredRule.kept(of: heads, errors: errors, ratio: ratio, unit: unit), layers, alignment)
  }

  /// The order in which a rule keeps each head's channels, best first, by head.
  public static func orders(
    _ scores: ImportanceScores, _ layers: [LayerGeometry], unit: Int, pairs: Bool
  ) throws(MaskError) -> [[Int]] {
    try heads(scores, layers, unit: unit, pairs: pairs).map(\.order)
  }

  private init(
    _ kept: [ChannelSet], _ layers: [LayerGeometry], _ alignment: Alignment
  ) throws(MaskError) {
    let unit = alignment.unit
    let ratio = alignment.targetRatio ?? 0
    var masks: [LayerMask] = []
    var next = 0
    for layer in layers {
      masks.append(
        try LayerMask(geometry: layer, heads: Array(kept[next..<next + layer.kvHeads])))
      next += layer.kvHeads
    }
    mask = try ChannelMask(layers: masks)
    self.alignment = alignment
    var warnings: [Warning] = []
    for width in Set(layers.map(\.headDim)).sorted() where !width.isMultiple(of: unit) {
      warnings.append(.partialGroup(unit: unit, headDim: width))
    }
    let realised = Double(mask.channels - mask.keptCount) / Double(mask.channels)
    if (realised - ratio).magnitude > Self.driftTolerance {
      warnings.append(.ratioDrift(target: ratio, realised: realised))
    }
    self.warnings = warnings
  }

  /// The scores by head, widened, and with pairs each channel at its pair's mean.
  private static func heads(
    _ scores: ImportanceScores, _ layers: [LayerGeometry], unit: Int, pairs: Bool
  ) throws(MaskError) -> [ScoredHead] {
    let channels = layers.reduce(0) { $0 + $1.channels }
    guard unit <= Self.unitLimit else {
      throw MaskError(.alignment, "alignment unit \(unit), the limit is \(Self.unitLimit)")
    }
    guard !layers.isEmpty, scores.count == channels else {
      throw MaskError(.scores, "\(scores.count) scores for \(channels) channels")
    }
    guard !pairs || unit.isMultiple(of: 2) else {
      throw MaskError(.alignment, "alignment unit \(unit) is odd, which splits pairs")
    }
    var heads: [ScoredHead] = []
    var start = 0
    for layer in layers {
      guard !pairs || layer.headDim.isMultiple(of: 2) else {
        throw MaskError(.alignment, "head_dim \(layer.headDim) is odd, which leaves no pairs")
      }
      for _ in 0..<layer.kvHeads {
        var values: [Double] = []
        for index in start..<start + layer.headDim {
          let value = Double(scores[index])
          guard value.isFinite else {
            throw MaskError(.scores, "score \(index) is infinite, no order of sums follows")
          }
          values.append(value)
        }
        heads.append(
          pairs ? ScoredHead(values, rotary: layer.rotaryOrAssumed) : ScoredHead(values))
        start += layer.headDim
      }
    }
    return heads
  }
}
