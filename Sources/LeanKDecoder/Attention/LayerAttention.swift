import LeanKModel

/// One layer's attention with what it remembers of the tokens before.
protocol LayerAttention: Sendable {
  /// Attends from `x`, [tokens, hidden], normed; the tokens before have been given in earlier calls.
  /// `rotary` has the pass's positions; nil for a layer without rotation. Returns [tokens, query
  /// heads * head_dim], before the output projection.
  mutating func attend(
    _ x: Matrix, _ pass: TokenPass, _ weights: AttentionWeights, _ rotary: RotaryTable?,
    _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix

  /// Elements of keys and values held.
  var cached: CacheSize { get }
}

/// Elements that a K/V cache holds.
public struct CacheSize: Sendable, Hashable {
  public var keys: Int
  public var values: Int

  public init(keys: Int = 0, values: Int = 0) {
    self.keys = keys
    self.values = values
  }

  static func + (left: CacheSize, right: CacheSize) -> CacheSize {
    CacheSize(keys: left.keys + right.keys, values: left.values + right.values)
  }
}

extension AttentionDescription {
  /// First key that the layer's own sliding window leaves visible.
  func firstVisible(position: Int) -> Int {
    guard let window = slidingWindow else { return 0 }
    return max(0, position - window + 1)
  }
}
