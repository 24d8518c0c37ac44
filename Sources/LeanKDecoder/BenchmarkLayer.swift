import LeanKMask

/// A layer's cache filled with noise, and a query for it.
struct BenchmarkLayer {
  private let cache: DecodeAttentionCache
  private let query: [Float]
  private let queryHeads: Int

  /// Bytes that one token reads.
  var bytes: Int { cache.bytesRead }

  /// `kept` decides the geometry. In windowed mode the last half of `accumulate` tokens are decoded
  /// ones, so that as many tokens are near as there are on average.
  init(
    kept: [ChannelSet], context: Int, mode: DeploymentHints, queryHeads: Int, element: CacheElement
  ) {
    let headDim = kept[0].width
    var cache = DecodeAttentionCache(kept: kept, valueWidth: headDim, mode: mode, element: element)
    let row = kept.count * headDim
    let noise = Self.noise(count: max(row * 64, queryHeads * headDim))
    let decoded = min(mode.window.map { $0.accumulate / 2 } ?? 0, context - 1)
    cache.reserve(context)
    var left = context - decoded
    while left > 0 {
      let tokens = min(left, noise.count / row)
      let rows = noise.span.extracting(first: tokens * row)
      cache.appendPrompt(keys: rows, values: rows)
      left -= tokens
    }
    for _ in 0..<decoded {
      let token = noise.span.extracting(first: row)
      cache.append(key: token, value: token)
    }
    self.cache = cache
    self.queryHeads = queryHeads
    query = Array(noise.prefix(queryHeads * headDim))
  }

  /// Seconds that attention of one token takes.
  func time(_ attention: DecodeAttention, _ clock: ContinuousClock) -> Double {
    let start = clock.now
    let output = attention.attend(
      [cache], query: query.span, queryHeads: queryHeads, scale: 1 / Float(cache.headDim))
    let seconds = start.duration(to: clock.now) / .seconds(1)
    // What is computed must be of use, or it need not be computed.
    precondition(output.count == queryHeads * cache.headDim)
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
