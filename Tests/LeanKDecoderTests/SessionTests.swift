import ByteIO
import LeanKMask
import LeanKModel
import Testing

@testable import LeanKDecoder

/// Sessions by themselves: steps, prompts that follow one another, copies, factors.
@Suite struct SessionTests {
  private static let window = try? AttentionWindow(sink: 3, recent: 6, accumulate: 4)
  static let policies: [AttentionPolicy] = [
    AttentionPolicy(),
    AttentionPolicy(mode: window.map { .windowed($0) } ?? .static),
    AttentionPolicy(mode: window.map { .windowed($0) } ?? .static, emptyHeads: .zero),
    AttentionPolicy(mode: window.map { .windowed($0) } ?? .static, prefill: .windowed),
  ]
  static let orders: [SumOrder] = [.fast, .ascending]
  private let compute = ComputeContext(threads: 2)

  private func session(
    _ fixture: ReferenceModel, _ form: AttentionForm, _ policy: AttentionPolicy, length: Int
  ) throws -> DecodingSession {
    try DecodingSession(
      WeightStore(fixture.model, residentLimit: 1 << 30), form, policy: policy, length: length)
  }

  /// Tokens given in one sweep through the layers and tokens given one by one make the same caches.
  @Test(arguments: policies, orders) func stepsEqualOneSweep(
    policy: AttentionPolicy, order: SumOrder
  ) throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    for form in [
      AttentionForm.reference(fixture.mask, order: order), .cached(fixture.mask, order: order),
    ] {
      var swept = try session(fixture, form, policy, length: tokens.count)
      let all = try swept.forward(tokens, prompt: 20, compute)
      var stepped = try session(fixture, form, policy, length: tokens.count)
      var rows = [try stepped.prefill(Array(tokens[..<20]), compute)]
      for token in tokens[20...] { rows.append(try stepped.step(token, compute)) }
      let values = rows.flatMap(\.values)
      let joined = Matrix(rows: tokens.count, columns: all.columns, values: values)
      // Products of few tokens and of many are summed in different orders.
      #expect(joined.largestDifference(from: all) <= 2e-5)
      #expect(stepped.cached == swept.cached && stepped.history == swept.history)
    }
  }

  /// Two prompts with decoded tokens between: the cache and the reference, which asks of each key
  /// whether it was near when it mattered, give the same bits in ascending order.
  @Test(arguments: policies, ["llama_gqa", "mistral_swa", "gpt_oss", "gemma2", "qwen3"])
  func laterPromptsSeeWhatIsLeft(policy: AttentionPolicy, name: String) throws {
    let fixture = try ReferenceModel(name)
    let tokens = try fixture.tokens("input_ids")
    func run(_ form: AttentionForm) throws -> (hidden: [Matrix], cached: CacheSize) {
      var session = try session(fixture, form, policy, length: tokens.count)
      var hidden = [try session.forward(Array(tokens[..<19]), prompt: 12, compute)]
      hidden.append(try session.forward(Array(tokens[19..<37]), prompt: 9, compute))
      hidden.append(try session.prefill(Array(tokens[37..<39]), compute))
      for token in tokens[39...] { hidden.append(try session.step(token, compute)) }
      return (hidden, session.cached)
    }
    let reference = try run(.reference(fixture.mask, order: .ascending))
    let cached = try run(.cached(fixture.mask, order: .ascending))
    #expect(reference.hidden == cached.hidden)
    let fast = try run(.cached(fixture.mask))
    for (one, other) in zip(reference.hidden, fast.hidden) {
      #expect(one.largestDifference(from: other) <= 3e-5)
    }
    guard policy.mode != .static else { return }
    // The second prompt meets keys that have lost channels: it differs from a run that sees all whole.
    let dense = try run(.reference(nil))
    #expect(dense.hidden[1].largestDifference(from: reference.hidden[1]) > 1e-3)
  }

  @Test func copiesGoOnByThemselves() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    let policy = Self.policies[1]
    for form in [AttentionForm.reference(fixture.mask), .cached(fixture.mask)] {
      var first = try session(fixture, form, policy, length: 48)
      _ = try first.prefill(Array(tokens[..<30]), compute)
      var second = first
      let own = try first.step(tokens[30], compute)
      _ = try second.step(7, compute)
      var again = try session(fixture, form, policy, length: 48)
      _ = try again.prefill(Array(tokens[..<30]), compute)
      #expect(try again.step(tokens[30], compute) == own)
    }
  }

  /// Factors of 1 and 0 are the mask; halves are something else.
  @Test(arguments: policies.prefix(3)) func factorsOfOneAndZeroAreAMask(
    policy: AttentionPolicy
  ) throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    func factors(_ value: (Bool) -> Float) -> [[[Float]]] {
      fixture.mask.layers.map { layer in
        layer.heads.map { head in (0..<head.width).map { value(head[$0]) } }
      }
    }
    func run(_ form: AttentionForm, _ policy: AttentionPolicy) throws -> Matrix {
      var session = try session(fixture, form, policy, length: tokens.count)
      return try session.forward(tokens, prompt: 24, compute)
    }
    // Factors score the middle keys of a head that keeps nothing 0; only a mask makes them absent.
    var zero = policy
    zero.emptyHeads = .zero
    let masked = try run(.reference(fixture.mask), zero)
    #expect(try run(.factors(factors { $0 ? 1 : 0 }), zero).largestDifference(from: masked) <= 1e-5)
    #expect(try run(.factors(factors { _ in 0.5 }), zero).largestDifference(from: masked) > 1e-3)
    #expect(throws: DecoderError(.geometry, "")) { try run(.factors([[[1]]]), zero) }
  }

  @Test func aSessionBeginsWithAPrompt() throws {
    let fixture = try ReferenceModel("llama_gqa")
    var session = try session(fixture, .cached(nil), AttentionPolicy(), length: 4)
    #expect(throws: DecoderError(.promptLength, "")) { try session.step(1, compute) }
  }

  /// Logits of chosen rows are those of all rows, whether the output projection stays or not.
  @Test func logitsOfChosenRows() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    var logits: [Matrix] = []
    for limit in [0, 1 << 30] {
      var session = try DecodingSession(
        WeightStore(fixture.model, residentLimit: limit), .cached(nil), length: tokens.count)
      let hidden = try session.prefill(tokens, compute)
      logits.append(try session.logits(hidden, compute))
      #expect(
        try session.logits(hidden.rows(3..<20), compute) == logits.last?.rows(3..<20))
    }
    #expect(logits[0] == logits[1])
  }
}
