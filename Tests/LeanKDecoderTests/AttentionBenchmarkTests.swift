import LeanKDecoder
import LeanKMask
import Testing

@Suite struct AttentionBenchmarkTests {
  private static func layer(_ counts: [Int], headDim: Int = 16) throws -> LayerMask {
    try LayerMask(
      geometry: LayerGeometry(kvHeads: counts.count, headDim: headDim),
      heads: counts.map { ChannelSet(width: headDim, channels: 0..<$0) })
  }

  /// Bytes by hand: 100 tokens, of which 4 + 8 + 2 are near in the middle of an accumulation.
  @Test(arguments: ElementType.allCases)
  func countsTheBytesThatAreRead(element: ElementType) throws {
    let mask = try ChannelMask(layers: [Self.layer([5, 0]), Self.layer([0, 16, 1])])
    let options = BenchmarkOptions(
      element: element, window: try AttentionWindow(sink: 4, recent: 8, accumulate: 4),
      threads: 2, repetitions: 1, evictionBytes: 1 << 16)
    let benchmark = AttentionBenchmark(mask: mask, options: options)
    var seen: [Int] = []
    let measurement = benchmark.measure(context: 100) { seen.append($0) }
    let results = measurement.results
    #expect(seen == [1, 2])
    #expect(results.map(\.mode) == [.windowed, .static])
    let near = 14
    let middle = 86
    let dense = 5 * 100 * 32
    let windowed = 5 * near * 32 + middle * (5 + 16 + 1) + middle * 16 * 3
    #expect(results.map(\.denseBytes) == [dense * element.byteWidth, dense * element.byteWidth])
    #expect(results[0].prunedBytes == windowed * element.byteWidth)
    // The two heads without channels read a sum of 16 doubles each.
    #expect(results[1].prunedBytes == 100 * (22 + 48) * element.byteWidth + 2 * 16 * 8)
    #expect(results.allSatisfy { $0.denseSeconds > 0 && $0.prunedSeconds > 0 })
    #expect(measurement.memoryBandwidth > 0)
  }

  @Test func fewerTokensThanTheWindow() throws {
    let mask = try ChannelMask(layers: [Self.layer([3, 0])])
    let options = BenchmarkOptions(threads: 1, repetitions: 1, evictionBytes: 1 << 16)
    let benchmark = AttentionBenchmark(mask: mask, options: options)
    for context in [1, 2, 64, 65, 895] {
      let windowed = benchmark.measure(context: context).results[0]
      #expect(windowed.prunedBytes == windowed.denseBytes)
      #expect(windowed.denseBytes == context * 2 * 32 * 4)
    }
  }

  @Test func memoryIsKnownBeforeItIsTaken() throws {
    let mask = try ChannelMask(layers: [Self.layer([16])])
    let options = BenchmarkOptions(
      window: try AttentionWindow(sink: 1, recent: 2, accumulate: 3), evictionBytes: 100)
    #expect(
      AttentionBenchmark.memory(mask: mask, options: options, context: 10)
        == 10 * 3 * 2 * 4 * 16 + 100)
    #expect(AttentionBenchmark.memory(mask: mask, options: options, context: .max / 8) == nil)
  }

  @Test func queryHeadsComeFromTheMaskUnlessGiven() throws {
    let bare = try LayerGeometry(kvHeads: 3, headDim: 8)
    let known = try LayerGeometry(
      kvHeads: 3, headDim: 8, attention: AttentionGeometry(queryHeads: 6, rotary: .none))
    #expect(BenchmarkOptions().queryHeads(of: bare) == 12)
    #expect(BenchmarkOptions().queryHeads(of: known) == 6)
    #expect(BenchmarkOptions(queryHeads: 9).queryHeads(of: known) == 9)
  }
}
