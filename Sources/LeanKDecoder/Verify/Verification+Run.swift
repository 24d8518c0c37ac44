public import ByteIO
import LeanKMask
import LeanKModel

extension Verification {
  /// Runs all sides over the tokens, the prompt in one pass and the others one at a time, then lets
  /// them continue by themselves.
  ///
  /// `progress` hears of every pass through a layer; greedy tokens go through all of them again. What it
  /// throws ends the run. `onLogits` gets the logits of three sides a block at a time, ascending.
  public static func run(
    _ request: Request, _ compute: ComputeContext,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      (_, _) throws(DecoderError) in
    },
    onLogits: (LogitBlock) throws(DecoderError) -> Void = { _ throws(DecoderError) in }
  ) throws(DecoderError) -> Verification {
    let tokens = request.tokens
    guard request.promptLength >= 1, request.promptLength <= tokens.count else {
      throw DecoderError(
        .promptLength,
        "a prompt of \(request.promptLength) tokens in a run of \(tokens.count)")
    }
    let sides = Sides(request)
    var lockstep = try Lockstep(try sides.sessions(request), compute)
    let total = request.dense.description.layers.count * max(1, request.greedyCount)
    var done = 0
    var layers: [Layer] = []
    let (hidden, cached) = try lockstep.forward(
      [[Int32]](repeating: tokens, count: sides.count), prompt: request.promptLength,
      keeping: request.greedyCount > 0 ? sides.continuing : []
    ) { state throws(DecoderError) in
      layers.append(sides.compare(state))
      done += 1
      try progress(done, total)
    }
    var table = LogitTable(sides: sides.count, tokens: tokens, comparing: sides.pairs)
    try lockstep.eachLogitBlock(hidden) { range, logits throws(DecoderError) in
      table.add(range, logits, compute)
      try onLogits(
        LogitBlock(
          vocabulary: range, dense: logits[Sides.dense], masked: logits[Sides.masked],
          pruned: logits[sides.pruned]))
    }
    var greedy: Greedy?
    if request.greedyCount > 0 {
      var own = try Lockstep(sides.continuing.map { lockstep.sessions[$0] }, compute)
      let chosen = try own.greedy(
        count: request.greedyCount, after: sides.continuing.map { hidden[$0] }
      ) { _ throws(DecoderError) in
        done += 1
        try progress(min(done, total), total)
      }
      greedy = Greedy(dense: chosen[0], masked: chosen[1], pruned: chosen[2])
    }
    return Verification(
      request, sides, table, layers, greedy, cached,
      middleKeys: try middleKeys(request))
  }

  private init(
    _ request: Request, _ sides: Sides, _ table: LogitTable, _ layers: [Layer], _ greedy: Greedy?,
    _ cached: [CacheSize], middleKeys: Int
  ) {
    tokens = request.tokens
    promptLength = request.promptLength
    self.middleKeys = middleKeys
    self.layers = layers
    self.greedy = greedy
    tolerance = request.tolerance
    comparison = table.comparison(0)
    drift = table.comparison(1)
    lossDense = table.loss(side: Sides.dense)
    lossMasked = table.loss(side: Sides.masked)
    denseCache = cached[Sides.dense]
    prunedCache = cached[sides.pruned]
    var first: Int?
    if let tolerance {
      exactMaximum = nil
      independent = nil
      first = comparison.firstPosition(beyond: tolerance)
    } else {
      let exact = table.comparison(2)
      let noise = table.comparison(3).maximum
      // One step of f32 at the largest logit: the least that two orders can differ by.
      let step = Double(table.magnitude(side: Sides.masked)) * Double(Float.ulpOfOne)
      let limit = Independent.factor * max(Double(noise), step)
      exactMaximum = exact.maximum
      independent = Independent(maximum: comparison.maximum, noise: noise, limit: limit)
      first = exact.firstPosition(beyond: 0) ?? comparison.firstPosition(beyond: limit)
    }
    firstDifference = first
    let named: [(NonFinite.Side, Int)] = [
      (.dense, Sides.dense), (.masked, Sides.masked), (.pruned, sides.pruned),
    ]
    nonFinite =
      named.lazy.compactMap { name, side in
        table.firstNonFinite(side: side).map { NonFinite(side: name, position: $0) }
      }.first
  }

  /// Pairs of a query and a middle key that it sees, in the layer that has most of them.
  public static func middleKeys(_ request: Request) throws(DecoderError) -> Int {
    let policy = request.policy
    guard policy.window != nil else { return 0 }
    let pass = TokenPass(
      first: 0, prompt: request.promptLength,
      decoded: request.tokens.count - request.promptLength, decodedBefore: 0, middleEndBefore: 0)
    let sink = policy.window?.sink ?? 0
    var most = 0
    for window in Set(request.dense.description.layers.map(\.attention.slidingWindow)) {
      var pairs = 0
      for row in 0..<pass.rows {
        let visible = max(sink, window.map { row - $0 + 1 } ?? 0)
        pairs += max(0, pass.middleEnd(row: row, policy) - visible)
      }
      most = max(most, pairs)
    }
    return most
  }
}

/// Which sides a verification runs, and in which order.
private struct Sides {
  static let dense = 0
  static let masked = 1
  let pruned: Int
  /// The reference in ascending order, nil with a tolerance.
  private let exact: Int?

  init(_ request: Verification.Request) {
    exact = request.tolerance == nil ? 3 : nil
    pruned = request.tolerance == nil ? 4 : 2
  }

  var count: Int { pruned + 1 }

  /// Masked against pruned, dense against masked; without a tolerance exact against pruned, and the
  /// reference against itself in another order.
  var pairs: [LogitTable.Pair] {
    var pairs = [
      LogitTable.Pair(reference: Self.masked, other: pruned),
      LogitTable.Pair(reference: Self.dense, other: Self.masked),
    ]
    if let exact {
      pairs += [
        LogitTable.Pair(reference: exact, other: pruned),
        LogitTable.Pair(reference: Self.masked, other: 2),
      ]
    }
    return pairs
  }

  /// Those that continue greedily: dense, masked, pruned.
  var continuing: [Int] { [Self.dense, exact ?? Self.masked, pruned] }

  func sessions(_ request: Verification.Request) throws(DecoderError) -> [DecodingSession] {
    let dense = WeightStore(request.dense, residentLimit: request.residentWeights)
    let pruned =
      request.pruned.map { WeightStore($0, residentLimit: request.residentWeights) } ?? dense
    func session(
      _ store: WeightStore, _ form: AttentionForm
    ) throws(DecoderError) -> DecodingSession {
      try DecodingSession(
        store, form, policy: request.policy, length: request.tokens.count)
    }
    func masked(_ order: SumOrder) throws(DecoderError) -> DecodingSession {
      try session(dense, .reference(request.mask, order: order))
    }
    var sessions = [try session(dense, .reference(nil)), try masked(.fast)]
    if exact != nil { sessions += [try masked(.alternative), try masked(.ascending)] }
    let order: SumOrder = exact == nil ? .fast : .ascending
    sessions.append(try session(pruned, request.prunedForm.ordered(order)))
    return sessions
  }

  func compare(_ state: Lockstep.LayerState) -> Verification.Layer {
    var isExact = true
    if let exact {
      isExact =
        state.hidden[exact].largestDifference(from: state.hidden[pruned]) == 0
        && state.attention[exact].largestDifference(from: state.attention[pruned]) == 0
    }
    return Verification.Layer(
      layer: state.layer,
      maximumHidden: state.hidden[Self.masked].largestDifference(from: state.hidden[pruned]),
      maximumAttention: state.attention[Self.masked].largestDifference(
        from: state.attention[pruned]),
      isExact: isExact)
  }
}
