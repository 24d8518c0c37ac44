import ByteIO
import LeanKMask
import LeanKModel
import Testing

@testable import LeanKDecoder

/// What a verification finds, and what it must not find.
@Suite struct VerificationTests {
  private let compute = ComputeContext(threads: 2)
  private static let window = try? AttentionWindow(sink: 4, recent: 8, accumulate: 4)
  static let modes: [DeploymentHints] = [.static] + [window.map { .windowed($0) }].compactMap { $0 }

  private func request(
    _ fixture: ReferenceModel, pruned: DecoderModel? = nil, _ form: AttentionForm? = nil,
    mode: DeploymentHints = .static
  ) throws -> Verification.Request {
    var request = Verification.Request(
      dense: fixture.model, pruned: pruned, prunedForm: form ?? .cached(fixture.mask),
      mask: fixture.mask, tokens: try fixture.tokens("input_ids"), promptLength: 24)
    request.policy.mode = mode
    return request
  }

  @Test(arguments: ReferenceModel.names) func honestRunsPass(name: String) throws {
    let fixture = try ReferenceModel(name)
    for mode in Self.modes {
      var request = try request(fixture, mode: mode)
      let middle = try Verification.middleKeys(request)
      guard mode == .static || middle > 0 else { continue }
      let exact = try Verification.run(request, compute)
      #expect(exact.passed && exact.exactMaximum == 0, "\(mode)")
      let independent = try #require(exact.independent)
      let maximum = Double(independent.maximum)
      #expect(maximum > 0 && maximum < independent.limit / 4)
      let inexact = exact.layers.filter { !$0.isExact }
      #expect(inexact.isEmpty)
      request.tolerance = 1e-4
      let loose = try Verification.run(request, compute)
      #expect(loose.passed && loose.exactMaximum == nil && loose.independent == nil)
      #expect(loose.comparison.maximum > 0)
      request.tolerance = 0
      let strict = try Verification.run(request, compute)
      #expect(!strict.passed)
    }
  }

  /// Faults of one side alone: a boundary that is off by one token, a pair swapped, a frequency of
  /// another pair, one wrong bit of a weight.
  @Test func faultsOfOneSideAreFound() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let sliced = SlicedWeights.slice(fixture.model, by: fixture.mask)
    let closed = try fixture.mask.closed
    func fails(_ request: Verification.Request) throws -> Bool {
      let result = try Verification.run(request, compute)
      return !result.passed && result.exactMaximum != 0 && result.firstDifference != nil
    }
    let honest = try Verification.run(
      try request(fixture, pruned: sliced, .cached(fixture.mask, rows: closed)), compute)
    #expect(honest.passed)
    for swap in ["pair", "frequency"] {
      let description = Self.broken(sliced.description, swap)
      #expect(
        try fails(
          request(
            fixture, pruned: DecoderModel(description, weights: sliced.weights),
            .cached(fixture.mask, rows: closed))), "\(swap)")
    }
    for row in [0, 40] {
      let flipped = FlippedWeights(
        source: fixture.model.weights, name: "model.layers.1.self_attn.v_proj.weight", element: row)
      #expect(
        try fails(
          request(
            fixture, pruned: DecoderModel(fixture.model.description, weights: flipped),
            .cached(fixture.mask))))
    }
  }

  private static func broken(_ model: ModelDescription, _ fault: String) -> ModelDescription {
    var result = model
    for index in result.layers.indices {
      if fault == "frequency" {
        result.layers[index].attention.rotary?.theta *= 1.001
      } else {
        // Two heads of Q change places.
        result.layers[index].attention.query.heads.swapAt(0, 1)
      }
    }
    return result
  }

  /// A window that is off by one token on the pruned side alone.
  @Test(arguments: [0, 1, 2]) func aWindowOffByOneIsFound(fault: Int) throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    let right = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    let wrong = try [
      AttentionWindow(sink: 5, recent: 8, accumulate: 4),
      AttentionWindow(sink: 4, recent: 9, accumulate: 4),
      AttentionWindow(sink: 4, recent: 8, accumulate: 5),
    ][fault]
    func run(_ form: AttentionForm, _ window: AttentionWindow) throws -> Matrix {
      var session = try DecodingSession(
        WeightStore(fixture.model), form, policy: AttentionPolicy(mode: .windowed(window)),
        length: tokens.count)
      return try session.forward(tokens, prompt: 24, compute)
    }
    let reference = try run(.reference(fixture.mask, order: .ascending), right)
    #expect(try run(.cached(fixture.mask, order: .ascending), right) == reference)
    #expect(
      try run(.cached(fixture.mask, order: .ascending), wrong).largestDifference(from: reference)
        > 1e-4)
  }

  @Test(arguments: [Float.infinity, .nan]) func logitsThatAreNotFiniteFail(value: Float) throws {
    let fixture = try ReferenceModel("llama_gqa")
    let broken = FlippedWeights(
      source: fixture.model.weights, name: "model.layers.1.mlp.down_proj.weight", element: 3,
      bits: value.bitPattern)
    let model = DecoderModel(fixture.model.description, weights: broken)
    var both = try request(fixture)
    both.dense = model
    let result = try Verification.run(both, compute)
    #expect(!result.passed)
    #expect(result.nonFinite == .init(side: .dense, position: 0))
    #expect(result.lossDense == nil && result.drift.maximumDivergence == nil)
    let one = try Verification.run(
      try request(fixture, pruned: model, .cached(fixture.mask)), compute)
    #expect(!one.passed && one.nonFinite?.side == .pruned && one.lossMasked != nil)
  }

  /// A single logit that is infinite on both sides.
  @Test func oneInfiniteLogitFails() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let head = fixture.model.description.outputHead.weight
    let broken = FlippedWeights(
      source: fixture.model.weights, name: head, element: 64 * 9, bits: Float.infinity.bitPattern)
    var both = try request(fixture)
    both.dense = DecoderModel(fixture.model.description, weights: broken)
    let result = try Verification.run(both, compute)
    #expect(!result.passed && result.nonFinite?.side == .dense)
  }

  @Test func middleKeysCountTheLayersOwnWindow() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    var plain = try request(fixture, mode: .windowed(window))
    var expected = 0
    for t in 24..<48 {
      for k in 0...t where !window.isNear(key: k, token: t - 23, position: t) { expected += 1 }
    }
    #expect(try Verification.middleKeys(plain) == expected)
    for index in plain.dense.description.layers.indices {
      var description = plain.dense.description
      description.layers[index].attention.slidingWindow = 8
      plain.dense = DecoderModel(description, weights: plain.dense.weights)
    }
    #expect(try Verification.middleKeys(plain) == 0)
  }

  /// Progress that throws ends a run, and logits come in blocks that cover the vocabulary once.
  @Test func progressEndsARun() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let request = try request(fixture)
    #expect(throws: DecoderError(.interrupted, "")) {
      try Verification.run(request, compute) { (done, total) throws(DecoderError) in
        #expect(done == 1 && total == fixture.model.description.layers.count)
        throw DecoderError(.interrupted, "")
      }
    }
    var next = 0
    _ = try Verification.run(
      request, compute,
      onLogits: { block throws(DecoderError) in
        #expect(block.vocabulary.lowerBound == next)
        next = block.vocabulary.upperBound
        #expect(block.dense.rows == 48 && block.pruned.columns == block.vocabulary.count)
      })
    #expect(next == fixture.model.description.vocabularySize)
  }
}
