public import LeanKMask

/// One KV head of a mask: its channels, the frequencies they turn with, and their scores.
public struct HeadProfile: Sendable, Hashable {
  /// A channel and its score.
  public struct Scored: Sendable, Hashable, Encodable {
    public let channel: Int
    public let score: Float
  }

  /// M and C of the head.
  public let kept: ChannelSet
  public let closure: ChannelSet
  /// Kept share of the rotated channels by quarter of the frequencies, the fastest first; empty
  /// when nothing rotates.
  public let quarters: [KeptShare]
  /// By channel; nil without scores.
  public let scores: [Float]?
  /// The channels by falling score, equal ones by channel; empty without scores.
  public let ranked: [Scored]

  /// nil when the mask has no such layer or head.
  public init?(of document: MaskDocument, layer: Int, head: Int) {
    let layers = document.mask.layers
    guard layers.indices.contains(layer), layers[layer].heads.indices.contains(head) else {
      return nil
    }
    let set = layers[layer].heads[head]
    let geometry = layers[layer].geometry
    let rotary = geometry.rotaryOrAssumed
    kept = set
    closure = set.closure(under: rotary)
    var quarters = [KeptShare](repeating: KeptShare(), count: rotary.width > 0 ? 4 : 0)
    for channel in 0..<rotary.width {
      guard let index = rotary.frequencyIndex(of: channel) else { continue }
      quarters[index * 4 / (rotary.width / 2)] += KeptShare(
        kept: set[channel] ? 1 : 0, channels: 1)
    }
    self.quarters = quarters
    let before = layers[..<layer].reduce(0) { $0 + $1.geometry.channels }
    let first = before + head * geometry.headDim
    scores = document.scores.map { Array($0.values[first..<first + set.width]) }
    ranked = (scores ?? []).enumerated().map { Scored(channel: $0, score: $1) }
      .sorted { ($1.score, $0.channel) < ($0.score, $1.channel) }
  }

  /// Channels of the closure that only a partner keeps there.
  public var added: [Int] { closure.channels.filter { !kept[$0] } }

  /// The kept channel that scores least, and the pruned one that scores most.
  public var lowestKept: Scored? { ranked.last { kept[$0.channel] } }
  public var highestPruned: Scored? { ranked.first { !kept[$0.channel] } }
}
