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

/// What a cache holds of the keys. The weights decide it, so it is a matter of a checkpoint's layout.
public enum CachedKeys: Sendable, Hashable {
  /// The kept channels, in either mode: a mask alone, layout `cache`.
  case kept
  /// The kept channels of every token, whatever the mode that is asked for: layout `rows`.
  case keptStatic
  /// Whole keys, of which a mask saves nothing: layout `zeroed`.
  case whole
}

/// What a K/V cache costs under a mask. V heads are as wide as the mask records, else as K heads.
///
/// Whoever states what a mask saves of a cache takes it from here.
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
  /// Bytes of one cached element.
  public let elementBytes: Int
  public let cachedKeys: CachedKeys

  /// `slidingWindows`: keys that a query of each layer sees, itself included; nil = all before it,
  /// and so for layers past the end. `valueDims`: widths of a head of values where the mask does not
  /// record them; nil = as it does.
  public init(
    of mask: ChannelMask, elementBytes: Int = 2, slidingWindows: [Int?] = [],
    valueDims: [Int?] = [], cachedKeys: CachedKeys = .kept
  ) {
    self.elementBytes = elementBytes
    self.cachedKeys = cachedKeys
    layers = mask.layers.enumerated().map { index, layer in
      let isWhole = cachedKeys == .whole
      let valueDim =
        (index < valueDims.count ? valueDims[index] : nil) ?? layer.geometry.valueDim
      return Layer(
        channels: layer.geometry.channels,
        values: layer.geometry.kvHeads * valueDim,
        kept: isWhole ? layer.geometry.channels : layer.keptCount,
        emptyChannels: isWhole
          ? 0 : layer.heads.count(where: \.isEmpty) * valueDim,
        window: index < slidingWindows.count ? slidingWindows[index] : nil)
    }
  }

  /// A cache of `context` tokens as `deployment` has it.
  public func bytes(_ deployment: DeploymentHints, context: Int) -> CacheBytes {
    deployment.window.map { windowed(context: context, window: $0) } ?? `static`(context: context)
  }

  /// One token as `deployment` has it, a middle one in windowed mode.
  public func perToken(_ deployment: DeploymentHints) -> CacheBytes {
    deployment.mode == .static ? staticPerToken : middlePerToken
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
    guard cachedKeys != .keptStatic else { return staticPerToken }
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
    guard cachedKeys != .keptStatic else { return `static`(context: context) }
    return sum { layer in
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
