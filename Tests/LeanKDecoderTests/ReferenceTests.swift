import LeanKDecoder
import LeanKMask
import Testing

/// Every mode on both sides against what transformers computed.
@Suite struct ReferenceTests {
  static let window = try? AttentionWindow(sink: 4, recent: 8, accumulate: 4)

  /// One array of the references and how the decoder is to be run for it.
  struct Mode: Sendable, CustomTestStringConvertible {
    let array: String
    let greedy: String?
    let policy: AttentionPolicy
    var testDescription: String { array }
  }

  static func modes() throws -> [Mode] {
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    func windowed(
      _ prefill: AttentionPolicy.Prefill, _ empty: AttentionPolicy.EmptyHeads
    ) -> AttentionPolicy {
      AttentionPolicy(mode: .windowed(window), prefill: prefill, emptyHeads: empty)
    }
    return [
      Mode(array: "logits_masked", greedy: "greedy_masked", policy: AttentionPolicy()),
      Mode(array: "logits_deploy", greedy: nil, policy: windowed(.dense, .absent)),
      Mode(
        array: "logits_windowed_excluded", greedy: "greedy_windowed_excluded",
        policy: windowed(.windowed, .absent)),
      Mode(
        array: "logits_windowed_zeroscore", greedy: "greedy_windowed_zeroscore",
        policy: windowed(.windowed, .zero)),
    ]
  }

  @Test(arguments: ReferenceModel.names) func agreesWithTransformers(name: String) throws {
    let fixture = try ReferenceModel(name)
    let tokens = try fixture.tokens("input_ids")
    let expectedDense = try fixture.logits("logits_dense")
    let tolerance = ReferenceModel.tolerance(name)
    for mode in try Self.modes() where fixture.has(mode.array) {
      var sides: [Side] = [.dense(fixture.model)]
      for order in [SumOrder.fast, .alternative, .ascending] {
        sides.append(.masked(fixture.model, fixture.mask, order: order))
      }
      for order in [SumOrder.fast, .ascending] {
        sides.append(.pruned(fixture.model, fixture.mask, order: order))
      }
      if mode.policy.mode == .static, !fixture.hasQueryKeyNorm {
        let sliced = SlicedWeights.slice(fixture.model, by: fixture.mask)
        sides.append(.pruned(sliced, fixture.mask, rows: try fixture.mask.closed))
      }
      var run = try TestRun(
        sides, prompt: 24, tokens: tokens, policy: mode.policy, threads: 2)
      let expected = try fixture.logits(mode.array)
      for (side, logits) in run.logits.enumerated() {
        let difference = logits.largestDifference(from: side == 0 ? expectedDense : expected)
        #expect(difference <= tolerance, "\(mode.array), side \(side)")
      }
      guard let greedy = mode.greedy, fixture.has(greedy) else { continue }
      let continued = try run.greedy(16)
      let expectedGreedy = try fixture.tokens(greedy)
      let expectedDenseGreedy = try fixture.tokens("greedy_dense")
      for (side, tokens) in continued.enumerated() {
        #expect(
          tokens == (side == 0 ? expectedDenseGreedy : expectedGreedy), "\(greedy), side \(side)")
      }
    }
  }
}
