import LeanKModel

/// One layer's attention with what it remembers of the tokens before.
protocol LayerAttention: AnyObject {
  /// Attends from `x`, [tokens, hidden], whose first token is at `position`; the tokens before have
  /// been given in earlier calls. Returns [tokens, query heads * head_dim].
  func attend(
    _ x: Matrix, from position: Int, weights: WeightStore
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

/// What attention of either side needs to know about its layer and the run.
struct AttentionContext {
  let attention: AttentionDescription
  let options: DecodeOptions
  let promptLength: Int
  let rotary: RotaryTable?
  let multiply: MatrixMultiply

  /// First key that the layer's own sliding window leaves visible.
  func firstVisible(position: Int) -> Int {
    guard let window = attention.slidingWindow else { return 0 }
    return max(0, position - window + 1)
  }
}
