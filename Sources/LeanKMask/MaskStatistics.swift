/// What a mask does, in numbers. Ratios are shares of all channels, exact quotients of counts.
public struct MaskStatistics: Sendable, Hashable {
  public let layers: Int
  public let heads: Int
  public let emptyHeads: Int
  public let channels: Int
  public let channelsKept: Int
  /// Channels of the pair closure C.
  public let closureKept: Int
  /// Number of heads by kept count.
  public let keptCounts: [Int: Int]
  /// Whether the rotary pairs are the recorded ones (else half pairs over the whole head).
  public let rotaryIsKnown: Bool

  public init(of mask: ChannelMask) {
    var heads = 0
    var empty = 0
    var closure = 0
    var counts: [Int: Int] = [:]
    for layer in mask.layers {
      for head in layer.heads { counts[head.count, default: 0] += 1 }
      heads += layer.heads.count
      empty += layer.heads.count(where: \.isEmpty)
      closure += layer.closure.reduce(0) { $0 + $1.count }
    }
    layers = mask.layers.count
    self.heads = heads
    emptyHeads = empty
    channels = mask.channels
    channelsKept = mask.keptCount
    closureKept = closure
    keptCounts = counts
    rotaryIsKnown = mask.knowsAttention
  }

  public var keptRatio: Double { Double(channelsKept) / Double(channels) }
  public var prunedRatio: Double { Double(channels - channelsKept) / Double(channels) }
  public var closureKeptRatio: Double { Double(closureKept) / Double(channels) }

  /// Whether C = M: no row has to stay for its partner's sake.
  public var isPairClosed: Bool { closureKept == channelsKept }
}
