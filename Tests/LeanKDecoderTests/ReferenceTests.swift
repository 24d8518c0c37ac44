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
    let options: DecodeOptions
    var testDescription: String { array }
  }

  static func modes() throws -> [Mode] {
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    func windowed(_ prefill: DecodeOptions.Prefill, _ empty: DecodeOptions.EmptyHeads)
      -> DecodeOptions
    {
      DecodeOptions(mode: .windowed(window), prefill: prefill, emptyHeads: empty, threads: 2)
    }
    return [
      Mode(array: "logits_masked", greedy: "greedy_masked", options: DecodeOptions(threads: 2)),
      Mode(array: "logits_deploy", greedy: nil, options: windowed(.dense, .absent)),
      Mode(
        array: "logits_windowed_excluded", greedy: "greedy_windowed_excluded",
        options: windowed(.windowed, .absent)),
      Mode(
        array: "logits_windowed_zeroscore", greedy: "greedy_windowed_zeroscore",
        options: windowed(.windowed, .zero)),
    ]
  }

  @Test(arguments: ReferenceModel.names) func agreesWithTransformers(name: String) throws {
    let fixture = try ReferenceModel(name)
    let tokens = try fixture.tokens("input_ids")
    let expectedDense = try fixture.logits("logits_dense")
    let tolerance = ReferenceModel.tolerance(name)
    for mode in try Self.modes() where fixture.has(mode.array) {
      var sides: [DecoderSide] = [
        .dense(fixture.model), .masked(fixture.model, fixture.mask),
        .pruned(fixture.model, fixture.mask),
      ]
      if mode.options.mode == .static, !fixture.hasQueryKeyNorm {
        let sliced = SlicedWeights.slice(fixture.model, by: fixture.mask)
        sides.append(.pruned(sliced, fixture.mask, rows: try fixture.mask.closed))
      }
      let decoder = try Decoder(
        sides, promptLength: 24, length: tokens.count, options: mode.options)
      let outputs = try decoder.decode(tokens)
      let expected = try fixture.logits(mode.array)
      for (side, output) in outputs.enumerated() {
        let difference = output.logits.largestDifference(from: side == 0 ? expectedDense : expected)
        #expect(difference <= tolerance, "\(mode.array), side \(side)")
      }
      guard let greedy = mode.greedy, fixture.has(greedy) else { continue }
      let continued = try decoder.greedy(count: 16)
      let expectedGreedy = try fixture.tokens(greedy)
      let expectedDenseGreedy = try fixture.tokens("greedy_dense")
      for (side, tokens) in continued.enumerated() {
        #expect(
          tokens == (side == 0 ? expectedDenseGreedy : expectedGreedy), "\(greedy), side \(side)")
      }
    }
  }
}
