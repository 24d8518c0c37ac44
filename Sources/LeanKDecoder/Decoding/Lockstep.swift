public import ByteIO
import LeanKModel

/// Several sessions driven together: all tokens go through a layer before the next one, so that each
/// weight is read once and sessions with one store share the reading.
public struct Lockstep {
  public private(set) var sessions: [DecodingSession]
  private let compute: ComputeContext

  /// What a layer computed, session by session.
  public struct LayerState {
    public let layer: Int
    /// Residual stream after the layer, [tokens, hidden].
    public let hidden: [Matrix]
    /// The layer's attention before it joins the residual stream, [tokens, hidden].
    public let attention: [Matrix]
  }

  /// Fails with `.geometry` where the sessions' models differ in their number of layers.
  public init(
    _ sessions: [DecodingSession], _ compute: ComputeContext
  ) throws(DecoderError) {
    let layers = sessions.map(\.store.model.description.layers.count)
    guard let first = layers.first, layers.allSatisfy({ $0 == first }) else {
      throw DecoderError(.geometry, "the sides of a run differ in their number of layers")
    }
    self.sessions = sessions
    self.compute = compute
  }

  /// Takes each session's tokens, equally many, through all layers, the first `prompt` as a prompt and
  /// the others one by one; returns the hidden states after the final norm, [tokens, hidden] each.
  ///
  /// `onLayer` sees every layer's states before the next layer replaces them. Sessions that are not
  /// among `keeping` do not go on: they hold no more than one layer's keys and values at a time.
  public mutating func forward(
    _ tokens: [[Int32]], prompt: Int, keeping: [Int]? = nil,
    onLayer: (LayerState) throws(DecoderError) -> Void = { _ throws(DecoderError) in }
  ) throws(DecoderError) -> (hidden: [Matrix], cached: [CacheSize]) {
    var hidden: [Matrix] = []
    var passes: [TokenPass] = []
    var cached = [CacheSize](repeating: CacheSize(), count: sessions.count)
    for (index, session) in sessions.enumerated() {
      passes.append(try session.begin(tokens[index], prompt: prompt))
      hidden.append(try session.store.embed(tokens[index]))
    }
    let ends = sessions.indices.map { keeping?.contains($0) == false }
    let tables = zip(sessions, passes).map { $0.rotaryTables($1) }
    for layer in 0..<(sessions.first?.store.model.description.layers.count ?? 0) {
      var attention = hidden
      for index in sessions.indices {
        (hidden[index], attention[index]) = try sessions[index].apply(
          layer: layer, try sessions[index].store.layer(layer), to: hidden[index], passes[index],
          tables[index][layer], compute)
        if ends[index] {
          cached[index] = cached[index] + (try sessions[index].release(layer: layer))
        }
      }
      try onLayer(LayerState(layer: layer, hidden: hidden, attention: attention))
    }
    for index in sessions.indices {
      sessions[index].store.endPass()
      sessions[index].end(tokens[index], passes[index])
      hidden[index] = try sessions[index].store.finish(hidden[index], compute)
      if !ends[index] { cached[index] = sessions[index].cached }
    }
    return (hidden, cached)
  }

  /// Calls `body` with the logits of every session's hidden states after the final norm, a block of
  /// the vocabulary at a time: [rows, block] each.
  public func eachLogitBlock(
    _ hidden: [Matrix],
    _ body: (_ vocabulary: Range<Int>, _ logits: [Matrix]) throws(DecoderError) -> Void
  ) throws(DecoderError) {
    let vocabulary = sessions.map(\.store.model.description.vocabularySize)
    guard let size = vocabulary.first, vocabulary.allSatisfy({ $0 == size }) else {
      throw DecoderError(.geometry, "the sides of a run differ in their vocabulary")
    }
    let rows = hidden.reduce(0) { $0 + $1.rows }
    let step = sessions.map { $0.store.headStep(rows: rows) }.min() ?? 1
    for range in (0..<size).blocks(of: step) {
      var logits: [Matrix] = []
      var head: (store: WeightStore, block: OutputHead)?
      for (session, hidden) in zip(sessions, hidden) {
        if head?.store !== session.store {
          head = (session.store, try session.store.head(range))
        }
        if let head { logits.append(head.block.logits(hidden, compute)) }
      }
      try body(range, logits)
    }
  }

  /// The sessions' likeliest tokens after the last row of `hidden`: the highest logit, ties to the
  /// lowest id.
  func likeliest(_ hidden: [Matrix]) throws(DecoderError) -> [Int32] {
    var chosen: [Int32] = []
    for (session, hidden) in zip(sessions, hidden) {
      chosen.append(Int32(try session.logits(hidden.lastRow, compute).argmax(row: 0)))
    }
    return chosen
  }

  /// Lets each session continue `count` tokens of its own choice after the last row of `hidden`,
  /// end-of-text like any other. Weights are read once a token, unless they may stay.
  ///
  /// Where a rotation changes with the number of tokens, all of them go through again, as if they had
  /// been given.
  public mutating func greedy(
    count: Int, after hidden: [Matrix],
    onLayer: (LayerState) throws(DecoderError) -> Void = { _ throws(DecoderError) in }
  ) throws(DecoderError) -> [[Int32]] {
    var hidden = hidden
    var chosen = [[Int32]](repeating: [], count: sessions.count)
    for step in 0..<max(0, count) {
      let next = try likeliest(hidden)
      for (side, token) in next.enumerated() { chosen[side].append(token) }
      guard step + 1 < count else { continue }
      hidden = try advance(next, onLayer: onLayer)
    }
    return chosen
  }

  private mutating func advance(
    _ next: [Int32], onLayer: (LayerState) throws(DecoderError) -> Void
  ) throws(DecoderError) -> [Matrix] {
    guard sessions.contains(where: { $0.rotationsChange(at: $0.count + 1) }) else {
      return try forward(next.map { [$0] }, prompt: 0, onLayer: onLayer).hidden
    }
    let all = zip(sessions, next).map { $0.history + [$1] }
    let prompt = sessions[0].promptEnd
    for index in sessions.indices {
      sessions[index] = try sessions[index].restarted(length: all[index].count)
    }
    return try forward(all, prompt: prompt, onLayer: onLayer).hidden
  }
}
