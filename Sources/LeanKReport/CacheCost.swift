public import LeanKMask

/// What a checkpoint adds to what a mask knows; everything is optional.
public struct CheckpointFacts: Sendable, Hashable {
  public var modelName: String?
  /// Bytes of one cached element, and of one element of K and Q weights.
  public var elementBytes = 2
  /// Bytes of all weights as they are, and as layout `rows` would leave them.
  public var weightBytes: Int?
  public var rowsWeightBytes: Int?
  /// Keys that a query of each layer sees, itself included; nil = all before it. Empty = all layers
  /// see all.
  public var slidingWindows: [Int?] = []
  /// The model's longest context in tokens.
  public var contextLimit: Int?
  /// Whether keys are normed before rotation, which rules out layouts `rows` and `zeroed`.
  public var hasQueryKeyNorm = false

  public init() {}
}

/// Bytes of K and of V.
public struct CacheBytes: Sendable, Hashable {
  public var keys: Int
  public var values: Int

  public init(keys: Int, values: Int) {
    self.keys = keys
    self.values = values
  }

  public var total: Int { keys + values }
}

/// What a K/V cache costs under a mask. V heads are as wide as the mask records, else as K heads.
public struct CacheCost: Sendable, Hashable {
  private struct Layer: Hashable {
    /// Channels of K and of V.
    var channels: Int
    var values: Int
    var kept: Int
    /// V channels of heads that keep no K.
    var emptyChannels: Int
    var window: Int?
  }

  private let layers: [Layer]
  public let elementBytes: Int

  public init(of mask: ChannelMask, facts: CheckpointFacts = CheckpointFacts()) {
    elementBytes = facts.elementBytes
    layers = mask.layers.enumerated().map { index, layer in
      Layer(
        channels: layer.geometry.channels,
        values: layer.geometry.kvHeads * layer.geometry.valueDim, kept: layer.keptCount,
        emptyChannels: layer.heads.count(where: \.isEmpty) * layer.geometry.valueDim,
        window: index < facts.slidingWindows.count ? facts.slidingWindows[index] : nil)
    }
  }

  /// One token of a cache without mask.
  public var densePerToken: CacheBytes {
    CacheBytes(
      keys: layers.reduce(0) { $0 + $1.channels } * elementBytes,
      values: layers.reduce(0) { $0 + $1.values } * elementBytes)
  }

  /// One token in static mode: K keeps M, V is whole.
  public var staticPerToken: CacheBytes {
    CacheBytes(
      keys: layers.reduce(0) { $0 + $1.kept } * elementBytes, values: densePerToken.values)
  }

  /// One middle token in windowed mode: K keeps M, V is dropped in empty heads.
  public var middlePerToken: CacheBytes {
    let empty = layers.reduce(0) { $0 + $1.emptyChannels } * elementBytes
    return CacheBytes(keys: staticPerToken.keys, values: densePerToken.values - empty)
  }

  /// A cache of `context` tokens without mask.
  public func dense(context: Int) -> CacheBytes {
    sum { layer in
      let tokens = min(context, layer.window ?? context)
      return (layer.channels * tokens, layer.values * tokens)
    }
  }

  /// A cache of `context` tokens in static mode.
  public func `static`(context: Int) -> CacheBytes {
    sum { layer in
      let tokens = min(context, layer.window ?? context)
      return (layer.kept * tokens, layer.values * tokens)
    }
  }

  /// A cache of `context` tokens in windowed mode at its largest, just before the recent tokens are
  /// flushed: near tokens whole; middle ones keep M of K, and no V in empty heads.
  public func windowed(context: Int, window: AttentionWindow) -> CacheBytes {
    sum { layer in
      let first = max(0, context - (layer.window ?? context))
      let recent = max(first, context - window.recent - (window.accumulate - 1))
      let near = context - recent + max(0, min(window.sink, recent) - first)
      let middle = context - first - near
      return (
        layer.channels * near + layer.kept * middle,
        layer.values * near + (layer.values - layer.emptyChannels) * middle
      )
    }
  }

  private func sum(_ cost: (Layer) -> (keys: Int, values: Int)) -> CacheBytes {
    var result = CacheBytes(keys: 0, values: 0)
    for layer in layers {
      let (keys, values) = cost(layer)
      result.keys += keys * elementBytes
      result.values += values * elementBytes
    }
    return result
  }
}
