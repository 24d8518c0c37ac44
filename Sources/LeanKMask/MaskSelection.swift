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
  ///   - pairs: whether the two channels that RoPE rotates together are kept or pruned together, each
  ///     standing for the mean of their scores, so that the mask is its own closure.
  ///
  /// Fails with `.scores` when they do not fit the layers or are infinite, and `.alignment` for a
  /// ratio, unit or rule that cannot be: with pairs, unit and head_dim are even.
  public init(
    scores: ImportanceScores, layers: [LayerGeometry], ratio: Double, unit: Int,
    rule: Alignment.Rule, pairs: Bool = false
  ) throws(MaskError) {
    let alignment = try Alignment(unit: unit, rule: rule, targetRatio: ratio)
    let heads = try Self.heads(scores, layers, unit: unit, pairs: pairs)
    let kept: [ChannelSet]
    switch rule {
    case .leank: kept = QuantileRule.kept(of: heads, ratio: ratio, unit: unit)
    case .budget: kept = BudgetRule.kept(of: heads, ratio: ratio, unit: unit)
    case .given:
      throw MaskError(.alignment, "rule given records a mask as found, it chooses none")
    }
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

  /// Higher sum first, then the lower first channel; the items are of one size.
  private static func sorted(_ items: [[Int]], by scores: [Double]) -> [[Int]] {
    let keyed = items.map { item in (item, sum: item.reduce(0) { $0 + scores[$1] }) }
    return keyed.sorted { left, right in
      left.sum != right.sum ? left.sum > right.sum : left.0[0] < right.0[0]
    }.map(\.0)
  }
}
