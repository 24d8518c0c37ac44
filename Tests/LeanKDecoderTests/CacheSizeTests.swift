import LeanKMask
import TestSupport
import Testing

@testable import LeanKDecoder

/// What is said that a mask saves of a cache is what a cache holds.
@Suite struct CacheSizeTests {
  private static let heads = 4
  private static let width = 16

  private static func layer(seed: UInt64) throws -> LayerMask {
    var generator = SeededGenerator(seed: seed)
    let sets = (0..<heads).map { head in
      ChannelSet(
        width: width,
        channels: head == 0 ? [] : (0..<width).filter { _ in generator.next() % 3 != 0 })
    }
    return try LayerMask(
      geometry: try LayerGeometry(kvHeads: heads, headDim: width), heads: sets)
  }

  /// Prompt and decoded tokens after which the next token flushes, where a windowed cache is largest.
  @Test(arguments: ElementType.allCases, [nil, [2, 3, 4], [0, 8, 1], [5, 1, 8]])
  func costIsWhatACacheHolds(_ element: ElementType, _ numbers: [Int]?) throws {
    let window = try numbers.map {
      try AttentionWindow(sink: $0[0], recent: $0[1], accumulate: $0[2])
    }
    let codec = CacheCodec(element)
    let accumulate = window?.accumulate ?? 1
    for (seed, prompt, flushes) in [(UInt64(1), 1, 1), (2, 3, 2), (3, 40, 1), (4, 17, 9)] {
      let layer = try Self.layer(seed: seed)
      let mask = try ChannelMask(layers: [layer])
      let decoded = flushes * accumulate + accumulate - 1
      let key = [Float](repeating: 1, count: Self.heads * Self.width)
      for (cachedKeys, kept) in [
        (CachedKeys.kept, layer.heads), (.whole, layer.heads.map { .full(width: $0.width) }),
      ] {
        var cache = KVCache(
          heads: kept.map { (kept: $0.channels.map(Int32.init), keyWidth: Self.width) },
          valueWidth: Self.width, window: window, codec: codec, sumsValues: false)
        for position in 0..<prompt + decoded {
          let token = position - prompt + 1
          let end =
            window.map { token < 1 ? 0 : $0.middleEnd(token: token, position: position) } ?? .max
          cache.append(key: key.span, value: key.span, middleEnd: end)
        }
        let cost = CacheCost(
          of: mask, elementBytes: element.byteWidth, cachedKeys: cachedKeys)
        let stated = cost.bytes(
          window.map { .windowed($0) } ?? .static, context: prompt + decoded)
        let held = codec.bytes(cache.size)
        #expect(held.keys == stated.keys, "seed \(seed)")
        #expect(held.values == stated.values, "seed \(seed)")
      }
    }
  }
}
