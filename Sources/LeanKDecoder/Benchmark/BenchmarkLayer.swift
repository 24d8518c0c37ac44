import LeanKMask

/// A layer's cache filled with noise, and a query for it.
struct BenchmarkLayer {
  private let cache: KVCache
  private let kernel: CacheAttention
  private let queries: [ArraySlice<Float>]

  /// Bytes that one token reads.
  var bytes: Int { cache.bytesRead }

  /// `kept` decides the geometry. In windowed mode the last half of `accumulate` tokens are decoded
  /// ones, so that as many tokens are near as there are on average.
  init(
    kept: [ChannelSet], context: Int, mode: DeploymentHints, queryHeads: Int, codec: CacheCodec
  ) {
    let headDim = kept[0].width
    let window = mode.window
    var cache = KVCache(
      heads: kept.map { ($0.channels.map { Int32($0) }, headDim) }, valueWidth: headDim,
      window: window, codec: codec)
    let row = kept.count * headDim
    let group = queryHeads / kept.count
    let noise = Self.noise(count: max(row * 64, queryHeads * headDim))
    let decoded = min(window.map { $0.accumulate / 2 } ?? 0, context - 1)
    let middleEnd = window.map {
      $0.middleEnd(token: decoded, position: context - 1)
    }
    cache.reserve(context)
    for token in 0..<context {
      let place = token % (noise.count / row) * row
      let values = noise.span.extracting(place..<place + row)
      cache.append(key: values, value: values, middleEnd: middleEnd ?? 0)
    }
    self.cache = cache
    kernel = CacheAttention(group: group, scale: 1 / Float(headDim))
    queries = kept.indices.map { noise[$0 * group * headDim..<($0 + 1) * group * headDim] }
  }

  /// Seconds that attention of one token takes.
  func time(_ compute: ComputeContext, _ clock: ContinuousClock) -> Double {
    let start = clock.now
    let output = kernel.attend(queries, cache, visible: 0..<cache.count, compute)
    let seconds = start.duration(to: clock.now) / .seconds(1)
    // What is computed must be of use, or it need not be computed.
    precondition(output.count == queries.reduce(0) { $0 + $1.count })
    return seconds
  }

  private static func noise(count: Int) -> [Float] {
    var state: UInt32 = 1
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8) * 0x1p-24 - 0.5
    }
  }
}
