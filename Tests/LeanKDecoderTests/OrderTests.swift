import LeanKMask
import TestSupport
import Testing

@testable import LeanKDecoder

/// The order of sums that exact runs rely on.
@Suite struct OrderTests {
  /// Whole rows with zeros and narrow rows without them give the same bits, for any neighbours, and
  /// what double precision gives.
  @Test(arguments: KernelTests.levels) func zerosAndMissingChannelsGiveTheSameBits(level: Int)
    throws
  {
    let kernels = try #require(Kernels(level: level))
    let seed: UInt64 = 0x6578_6163
    var generator = SeededGenerator(seed: seed)
    for (width, rows) in [(0, 3), (1, 1), (5, 8), (64, 7), (128, 17), (700, 40)] {
      let kept = (0..<width).filter { _ in Bool.random(using: &generator) }
      let x = KernelTests.random(width, .f32, &generator).values
      let w = KernelTests.random(rows * width, .f32, &generator).values
      let zeroed = (0..<rows * width).map { kept.contains($0 % width) ? w[$0] : 0 }
      let narrow = (0..<rows).flatMap { row in kept.map { w[row * width + $0] } }
      var whole = [Float](repeating: .nan, count: rows)
      var gathered = whole
      kernels.orderedDots(
        into: &whole, x.span, .init(1, width: width), zeroed.span, .init(rows, width: width))
      let narrowX = kept.map { x[$0] }
      kernels.orderedDots(
        into: &gathered, narrowX.span, .init(1, width: kept.count), narrow.span,
        .init(rows, width: kept.count))
      #expect(whole == gathered, "seed \(seed), width \(width), rows \(rows)")
      for row in 0..<rows {
        let exact = kept.reduce(0.0) { $0 + Double(x[$1]) * Double(w[row * width + $1]) }
        #expect(abs(Double(whole[row]) - exact) <= 2e-5)
      }
      // A row among others gives what it gives alone.
      guard rows > 2, width > 0 else { continue }
      var alone: [Float] = [.nan]
      kernels.orderedDots(
        into: &alone, x.span, .init(1, width: width),
        zeroed.span.extracting(2 * width..<3 * width), .init(1, width: width))
      #expect(alone[0] == whole[2])
    }
  }

  /// The cache's scores, in tiles of tokens, have the bits of the reference's, in rows.
  @Test(arguments: KernelTests.levels) func tilesAndRowsGiveTheSameBits(level: Int) throws {
    let kernels = try #require(Kernels(level: level))
    var generator = SeededGenerator(seed: 21)
    for (width, tokens, group) in [(1, 5, 1), (48, 70, 3), (64, 33, 5), (0, 4, 2)] {
      let query = KernelTests.random(group * width, .f32, &generator).values
      let keys = KernelTests.random(tokens * width, .f32, &generator).values
      let value: [Float] = [1]
      var segment = KVSegment(
        codec: CacheCodec(.f32), width: width, valueWidth: 1, capacity: tokens)
      for token in 0..<tokens {
        segment.store(
          token, key: keys.span.extracting(token * width..<(token + 1) * width), channels: nil,
          value: value.span)
      }
      let columns = (0..<width).flatMap { channel in
        (0..<group).map { query[$0 * width + channel] }
      }
      var tiles = [Float](repeating: .nan, count: group * (tokens - 2))
      kernels.scores(
        into: &tiles, at: 0, stride: tokens - 2, segment, 2..<tokens,
        .init(values: columns, group: group, softcap: nil))
      var rows = [Float](repeating: .nan, count: group * tokens)
      kernels.orderedDots(
        into: &rows, query.span, .init(group, width: width), keys.span, .init(tokens, width: width))
      for head in 0..<group {
        #expect(
          Array(tiles[head * (tokens - 2)..<(head + 1) * (tokens - 2)])
            == Array(rows[head * tokens + 2..<(head + 1) * tokens]))
      }
    }
  }

  /// What the exact verdict rests on: a projection's row gives the same bits alone as among others, for
  /// any number of tokens of the same route and of threads.
  @Test func projectionsDoNotDependOnTheirNeighbours() {
    var generator = SeededGenerator(seed: 2)
    let (bytes, _) = KernelTests.random(300 * 96, .bf16, &generator)
    let weight = WeightMatrix(
      name: "w", element: .bf16, rows: 300, columns: 96, bytes: AlignedBytes(bytes))
    for tokens in [1, 8, 9, 40] {
      let x = Matrix(
        rows: tokens, columns: 96,
        values: KernelTests.random(tokens * 96, .f32, &generator).values)
      let all = ComputeContext(threads: 3).product(x, weight, rows: [0..<300])
      let some = ComputeContext(threads: 1).product(x, weight, rows: [7..<8, 100..<230])
      for token in 0..<tokens {
        #expect(some[token, 0] == all[token, 7])
        #expect((0..<130).allSatisfy { some[token, 1 + $0] == all[token, 100 + $0] })
      }
    }
  }
}
