import LeanKMask
import TestSupport
import Testing

@testable import LeanKDecoder

/// Attention over the ragged cache against a plain loop in double precision.
@Suite struct CacheAttentionTests {
  static let seeds: [UInt64] = Array(1...60)

  @Test(arguments: 0..<ComputeContext.levels, seeds)
  func agreesWithTheDefinition(level: Int, seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let problem = CacheProblem.random(&generator)
    try compare(problem, level: level, &generator)
  }

  /// Lengths around sink + recent and around flushes, where tokens change sides.
  @Test(arguments: 0..<ComputeContext.levels, ElementType.allCases)
  func agreesAtTheEdges(level: Int, element: ElementType) throws {
    let window = try AttentionWindow(sink: 5, recent: 33, accumulate: 32)
    for (prompt, decoded) in [
      (1, 1), (4, 1), (5, 1), (6, 1), (37, 1), (38, 1), (39, 1), (100, 31), (100, 32), (100, 33),
      (100, 64), (0, 96), (64, 95),
    ] {
      for emptyHeads in AttentionPolicy.EmptyHeads.allCases {
        for order in [SumOrder.fast, .ascending] {
          var generator = SeededGenerator(seed: UInt64(prompt * 1000 + decoded))
          let problem = CacheProblem(
            kept: [
              .full(width: 40), ChannelSet(width: 40), ChannelSet(width: 40, channels: [1, 39]),
            ],
            group: 2, valueWidth: 40, mode: .windowed(window), emptyHeads: emptyHeads,
            element: element, prompt: prompt, decoded: decoded, order: order)
          try compare(problem, level: level, &generator)
        }
      }
    }
  }

  /// Long enough for several pieces of work.
  @Test(arguments: 0..<ComputeContext.levels)
  func doesNotDependOnThreads(level: Int) throws {
    guard let one = ComputeContext(threads: 1, level: level),
      let many = ComputeContext(threads: 7, level: level)
    else { return }
    let window = try AttentionWindow(sink: 16, recent: 100, accumulate: 8)
    for mode in [DeploymentHints.static, .windowed(window)] {
      for order in [SumOrder.fast, .ascending] {
        var generator = SeededGenerator(seed: 11)
        let problem = CacheProblem(
          kept: [
            ChannelSet(width: 8, channels: [0, 3, 5]), ChannelSet(width: 8), .full(width: 8),
          ],
          group: 4, valueWidth: 8, mode: mode, emptyHeads: .absent, element: .f32, prompt: 6000,
          decoded: 3, order: order)
        let run = problem.run(&generator)
        let result = run.attend(one)
        #expect(result == run.attend(many))
        #expect(problem.largestError(of: result, run) < 2e-5)
      }
    }
  }

  /// Tokens of a prompt that attend together give the bits of each by itself, whatever the tokens hold
  /// that the earlier ones do not see.
  @Test(arguments: 0..<ComputeContext.levels, [20, 140, 2055])
  func rowsTogetherAreRowsAlone(level: Int, tokens: Int) throws {
    guard let kernels = Kernels(level: level) else { return }
    var generator = SeededGenerator(seed: UInt64(tokens))
    for (group, softcap, isSinking) in [(1, Float?.none, false), (3, 2.5, true), (5, nil, false)] {
      var problem = CacheProblem(
        kept: [ChannelSet(width: 33, channels: [0, 3, 5, 32])], group: group, valueWidth: 70,
        mode: .static, emptyHeads: .absent, element: .bf16, prompt: tokens, decoded: 0)
      problem.softcap = softcap
      problem.sinkLogits = isSinking ? (0..<group).map { Float($0) } : nil
      var run = problem.run(&generator)
      let (key, endless) = (run.keys[0], [Float](repeating: .infinity, count: 70))
      run.cache.append(key: key.span, value: endless.span, middleEnd: 0)
      let (head, kernel) = (run.cache.heads[0], run.kernel)
      func attend(_ rows: Range<Int>, _ queries: [[Float]]) -> [Float] {
        let visible = 0..<rows.upperBound
        return kernel.attend(
          kernel.query(queries.flatMap(\.self)[...], rows: rows.count, kept: head.kept),
          .init(head: head, runs: head.runs(visible)), kvHead: 0, kernels)
      }
      var first = tokens - 15
      while first <= tokens {
        let count = kernel.rows(upTo: tokens + 1 - first, after: first + 1)
        let rows = first..<first + count
        let queries = rows.map { _ in
          KernelTests.random(group * 33, .f32, &generator).values
        }
        let together = attend(rows, queries).map(\.bitPattern)
        let alone = rows.flatMap { attend($0..<$0 + 1, [queries[$0 - first]]).map(\.bitPattern) }
        #expect(together == alone, "rows \(rows), \(group) heads")
        #expect(tokens == 2055 || count == 16)
        first += count
      }
    }
  }

  @Test func cachesAreValues() throws {
    var generator = SeededGenerator(seed: 3)
    let problem = CacheProblem(
      kept: [ChannelSet(width: 8, channels: [2])], group: 1, valueWidth: 8,
      mode: .windowed(try AttentionWindow(sink: 1, recent: 2, accumulate: 2)), emptyHeads: .absent,
      element: .f16, prompt: 9, decoded: 4)
    let run = problem.run(&generator)
    let compute = ComputeContext(threads: 1)
    let before = run.attend(compute)
    var copy = run.cache
    let row = [Float](repeating: 3, count: 8)
    for token in 0..<9 { copy.append(key: row.span, value: row.span, middleEnd: 10 + token) }
    #expect(run.attend(compute) == before)
    #expect(copy.count == 22 && run.cache.count == 13)
  }

  /// A window as large as a file may name takes no more memory than its tokens.
  @Test func hugeWindowsGrowWithTheirTokens() throws {
    let largest = Int(Int32.max)
    let window = try AttentionWindow(sink: 3, recent: largest, accumulate: largest)
    var generator = SeededGenerator(seed: 8)
    let problem = CacheProblem(
      kept: [ChannelSet(width: 8, channels: [2])], group: 2, valueWidth: 8,
      mode: .windowed(window), emptyHeads: .absent, element: .f32, prompt: 500, decoded: 40)
    let run = problem.run(&generator)
    #expect(run.cache.heads[0].recent.capacity <= 2048)
    #expect(problem.largestError(of: run.attend(ComputeContext(threads: 1)), run) < 2e-6)
  }

  /// Sizes by hand: 20 tokens, sink 2, recent 4, and 2 of 3 tokens since the last flush.
  @Test func countsWhatIsHeld() throws {
    var generator = SeededGenerator(seed: 4)
    let kept = [ChannelSet(width: 8, channels: [0, 7]), ChannelSet(width: 8), .full(width: 8)]
    let window = try AttentionWindow(sink: 2, recent: 4, accumulate: 3)
    func size(
      _ mode: DeploymentHints, _ emptyHeads: AttentionPolicy.EmptyHeads,
      _ order: SumOrder = .fast
    ) -> CacheSize {
      CacheProblem(
        kept: kept, group: 1, valueWidth: 6, mode: mode, emptyHeads: emptyHeads, element: .f32,
        prompt: 15, decoded: 5, order: order
      ).run(&generator).cache.size
    }
    // Near: 2 + 4 + 2, middle: 12.
    #expect(
      size(.windowed(window), .absent)
        == CacheSize(keys: 3 * 8 * 8 + 12 * 10, values: (20 + 8 + 20) * 6))
    #expect(
      size(.windowed(window), .zero)
        == CacheSize(keys: 3 * 8 * 8 + 12 * 10, values: (20 + 9 + 20) * 6))
    #expect(size(.static, .absent) == CacheSize(keys: 20 * 10, values: (20 + 1 + 20) * 6))
    // In ascending order no sum stands for the values.
    #expect(
      size(.static, .absent, .ascending) == CacheSize(keys: 20 * 10, values: (20 + 20 + 20) * 6))
  }

  private func compare(
    _ problem: CacheProblem, level: Int, _ generator: inout SeededGenerator
  ) throws {
    guard let compute = ComputeContext(threads: 2, level: level) else { return }
    let run = problem.run(&generator)
    let error = problem.largestError(of: run.attend(compute), run)
    // Values are below 1 in magnitude, scores below 9: f32 noise over at most 300 tokens.
    #expect(error < 2e-6, "\(problem)")
  }
}
