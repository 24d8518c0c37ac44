public import LeanKMask

/// What the decode attention benchmark runs.
public struct BenchmarkOptions: Sendable, Hashable {
  /// Query heads of every layer; nil = the recorded ones, or 4 a KV head where none are.
  public var queryHeads: Int?
  public var element: ElementType
  public var window: AttentionWindow
  public var threads: Int
  /// Times that each layer is measured; the fastest counts.
  public var repetitions: Int
  /// Bytes read before each measurement; by default several times the largest caches of processors.
  public var evictionBytes: Int

  public init(
    queryHeads: Int? = nil, element: ElementType = .f32, window: AttentionWindow = .standard,
    threads: Int = 1, repetitions: Int = 7, evictionBytes: Int = 1 << 29
  ) {
    self.queryHeads = queryHeads
    self.element = element
    self.window = window
    self.threads = threads
    self.repetitions = repetitions
    self.evictionBytes = evictionBytes
  }

  /// Query heads of a layer under these options.
  public func queryHeads(of geometry: LayerGeometry) -> Int {
    queryHeads ?? geometry.attention?.queryHeads ?? 4 * geometry.kvHeads
  }
}

/// One token's attention through all layers of a mask, dense and pruned, by the same kernel.
public struct BenchmarkResult: Sendable, Hashable {
  /// Tokens in the cache.
  public let context: Int
  public let mode: MaskMode
  public var denseSeconds = 0.0
  public var prunedSeconds = 0.0
  /// Bytes of keys and values that are read.
  public var denseBytes = 0
  public var prunedBytes = 0

  init(context: Int, mode: MaskMode) {
    self.context = context
    self.mode = mode
  }

  public var speedup: Double { denseSeconds / prunedSeconds }
  /// 10^9 bytes a second.
  public var denseRate: Double { Double(denseBytes) / denseSeconds / 1e9 }
  public var prunedRate: Double { Double(prunedBytes) / prunedSeconds / 1e9 }
}
