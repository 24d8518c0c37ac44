import LeanKDecoder
import LeanKMask
import TestSupport
import Testing

/// Decode attention against a plain loop in double precision.
@Suite struct DecodeAttentionTests {
  static let seeds: [UInt64] = Array(1...24)

  @Test(arguments: 0..<DecodeAttention.levels, seeds)
  func agreesWithTheDefinition(level: Int, seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let problem = DecodeProblem.random(&generator)
    try compare(problem, level: level, &generator)
  }

  /// Lengths around sink + recent and around flushes, where tokens change sides.
  @Test(arguments: 0..<DecodeAttention.levels, CacheElement.allCases)
  func agreesAtTheEdges(level: Int, element: CacheElement) throws {
    let window = try AttentionWindow(sink: 5, recent: 33, accumulate: 32)
    for (prompt, decoded) in [
      (1, 1), (4, 1), (5, 1), (6, 1), (37, 1), (38, 1), (39, 1), (100, 31), (100, 32), (100, 33),
      (100, 64), (0, 96), (64, 95),
    ] {
      for emptyHeads in DecodeOptions.EmptyHeads.allCases {
        var generator = SeededGenerator(seed: UInt64(prompt * 1000 + decoded))
        let problem = DecodeProblem(
          kept: [
            .full(width: 40), ChannelSet(width: 40), ChannelSet(width: 40, channels: [1, 39]),
          ],
          group: 2, valueWidth: 40, mode: .windowed(window), emptyHeads: emptyHeads,
          element: element, prompts: [prompt], decoded: decoded)
        try compare(problem, level: level, &generator)
      }
    }
  }

  /// Long enough for several pieces of work.
  @Test(arguments: 0..<DecodeAttention.levels)
  func doesNotDependOnThreads(level: Int) throws {
    guard let one = DecodeAttention(threads: 1, level: level),
      let many = DecodeAttention(threads: 7, level: level)
    else { return }
    let window = try AttentionWindow(sink: 16, recent: 100, accumulate: 8)
    for mode in [DeploymentHints.static, .windowed(window)] {
      var generator = SeededGenerator(seed: 11)
      let problem = DecodeProblem(
        kept: [ChannelSet(width: 8, channels: [0, 3, 5]), ChannelSet(width: 8), .full(width: 8)],
        group: 4, valueWidth: 8, mode: mode, emptyHeads: .absent, element: .f32, prompts: [6000],
        decoded: 3)
      let run = problem.run(&generator)
      let result = run.attend(one)
      #expect(result == run.attend(many))
      #expect(problem.largestError(of: result, run) < 2e-5)
    }
  }

  @Test func cachesAreValues() throws {
    var generator = SeededGenerator(seed: 3)
    let problem = DecodeProblem(
      kept: [ChannelSet(width: 8, channels: [2])], group: 1, valueWidth: 8,
      mode: .windowed(try AttentionWindow(sink: 1, recent: 2, accumulate: 2)), emptyHeads: .absent,
      element: .f16, prompts: [9], decoded: 4)
    let run = problem.run(&generator)
    let before = run.attend(DecodeAttention(threads: 1))
    var copy = run.caches[0]
    let row = [Float](repeating: 3, count: 8)
    for _ in 0..<9 { copy.append(key: row.span, value: row.span) }
    #expect(run.attend(DecodeAttention(threads: 1)) == before)
    #expect(copy.count == 22 && run.caches[0].count == 13)
  }

  /// Sizes by hand: 20 tokens, sink 2, recent 4, and 2 of 3 tokens since the last flush.
  @Test func countsWhatIsHeld() throws {
    var generator = SeededGenerator(seed: 4)
    let kept = [ChannelSet(width: 8, channels: [0, 7]), ChannelSet(width: 8), .full(width: 8)]
    let window = try AttentionWindow(sink: 2, recent: 4, accumulate: 3)
    func size(_ mode: DeploymentHints, _ emptyHeads: DecodeOptions.EmptyHeads) -> CacheSize {
      DecodeProblem(
        kept: kept, group: 1, valueWidth: 6, mode: mode, emptyHeads: emptyHeads, element: .f32,
        prompts: [15], decoded: 5
      ).run(&generator).caches[0].size
    }
    // Near: 2 + 4 + 2, middle: 12.
    #expect(
      size(.windowed(window), .absent)
        == CacheSize(keys: 3 * 8 * 8 + 12 * 10, values: (20 + 8 + 20) * 6))
    #expect(
      size(.windowed(window), .zero)
        == CacheSize(keys: 3 * 8 * 8 + 12 * 10, values: (20 + 9 + 20) * 6))
    #expect(size(.static, .absent) == CacheSize(keys: 20 * 10, values: (20 + 1 + 20) * 6))
  }

  private func compare(
    _ problem: DecodeProblem, level: Int, _ generator: inout SeededGenerator
  ) throws {
    guard let attention = DecodeAttention(threads: 2, level: level) else { return }
    let run = problem.run(&generator)
    let error = problem.largestError(of: run.attend(attention), run)
    // Values are below 1 in magnitude, scores below 9: f32 noise over at most 300 tokens.
    #expect(error < 2e-6, "\(problem)")
  }
}
