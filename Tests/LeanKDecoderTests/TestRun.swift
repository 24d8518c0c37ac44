import LeanKDecoder
import LeanKMask

/// One side of a test run.
struct Side {
  let model: DecoderModel
  let form: AttentionForm

  static func dense(_ model: DecoderModel) -> Side { Side(model: model, form: .reference(nil)) }

  static func masked(
    _ model: DecoderModel, _ mask: ChannelMask, order: SumOrder = .fast
  ) -> Side {
    Side(model: model, form: .reference(mask, order: order))
  }

  static func pruned(
    _ model: DecoderModel, _ mask: ChannelMask, rows: ChannelMask? = nil, order: SumOrder = .fast
  ) -> Side {
    Side(model: model, form: .cached(mask, rows: rows, order: order))
  }
}

/// Sides that went over the same tokens together, with their logits.
struct TestRun {
  private(set) var lockstep: Lockstep
  let hidden: [Matrix]
  /// [tokens, vocabulary] of each side.
  let logits: [Matrix]
  let cached: [CacheSize]

  init(
    _ sides: [Side], prompt: Int, tokens: [Int32], policy: AttentionPolicy = AttentionPolicy(),
    threads: Int = 1, residentWeights: Int = 0,
    onLayer: (Lockstep.LayerState) -> Void = { _ in }
  ) throws {
    let compute = ComputeContext(threads: threads)
    lockstep = try Lockstep(
      try sides.map { side in
        try DecodingSession(
          WeightStore(side.model, residentLimit: residentWeights), side.form, policy: policy,
          length: tokens.count)
      }, compute)
    (hidden, cached) = try lockstep.forward(
      sides.map { _ in tokens }, prompt: prompt
    ) { state throws(DecoderError) in onLayer(state) }
    logits = try zip(lockstep.sessions, hidden).map { try $0.logits($1, compute) }
  }

  /// What each side continues with.
  mutating func greedy(_ count: Int) throws -> [[Int32]] {
    try lockstep.greedy(count: count, after: hidden)
  }
}
