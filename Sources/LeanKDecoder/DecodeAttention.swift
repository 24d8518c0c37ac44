import ByteIO

/// Attention of one new token a sequence over its cache, on several threads.
///
/// Query heads of a group share each load of a key and a value. Tokens are cut into pieces of a
/// fixed length whose results are merged in order, so the outcome does not depend on the threads.
public struct DecodeAttention: Sendable {
  private let kernels: Kernels
  private let threads: Int

  /// Tokens of one piece of work.
  private static let chunk = 2048

  /// Number of instruction sets that exist on some machine.
  public static let levels = Kernels.levels

  /// Attention on up to `threads` threads with the fastest loops of this machine.
  public init(threads: Int) {
    kernels = .best
    self.threads = threads
  }

  /// Attention with the loops of instruction set `level`; nil where this machine has none.
  public init?(threads: Int, level: Int) {
    guard let kernels = Kernels(level: level) else { return nil }
    self.kernels = kernels
    self.threads = threads
  }

  private struct Piece {
    let head: Int
    let part: DecodeAttentionHead.Part
    let tokens: Range<Int>
  }

  /// One KV head of one sequence.
  private struct Head {
    let cache: DecodeAttentionHead
    /// [head_dim, group] and [|M|, group], scaled.
    let whole: [Float]
    let narrow: [Float]
    var pieces: Range<Int>
  }

  /// `query`: [sequences, query heads * head_dim]; the caches hold the new token already. Scores are
  /// multiplied by `scale`. Returns [sequences, query heads * value width], 0 where a head sees no
  /// token.
  public func attend(
    _ caches: [DecodeAttentionCache], query: Span<Float>, queryHeads: Int, scale: Float
  ) -> [Float] {
    guard let first = caches.first else { return [] }
    let headDim = first.headDim
    let valueWidth = first.valueWidth
    let group = queryHeads / first.kvHeads
    precondition(group > 0 && group * first.kvHeads == queryHeads)
    precondition(query.count == caches.count * queryHeads * headDim)
    var heads: [Head] = []
    var pieces: [Piece] = []
    for (sequence, cache) in caches.enumerated() {
      precondition(
        cache.headDim == headDim && cache.valueWidth == valueWidth
          && cache.kvHeads == first.kvHeads)
      for (index, head) in cache.heads.enumerated() {
        let start = (sequence * queryHeads + index * group) * headDim
        let queries = query.extracting(start..<start + group * headDim)
        let before = pieces.count
        for piece in head.pieces(chunk: Self.chunk) {
          pieces.append(Piece(head: heads.count, part: piece.part, tokens: piece.tokens))
        }
        heads.append(
          Head(
            cache: head,
            whole: Self.columns(queries, 0..<headDim, group: group, scale: scale),
            narrow: Self.columns(
              queries, head.kept.lazy.map { Int($0) }, group: group, scale: scale),
            pieces: before..<pieces.count))
      }
    }
    let states = states(of: pieces, heads: heads, group: group, valueWidth: valueWidth)
    let length = Kernels.stateCount(group: group, valueWidth: valueWidth)
    var result: [Float] = []
    result.reserveCapacity(caches.count * queryHeads * valueWidth)
    for head in heads {
      let own = head.pieces.lowerBound * length..<head.pieces.upperBound * length
      if let sum = head.cache.summedState(group: group) {
        let all = sum + states[own]
        result += kernels.merge(all.span, group: group, valueWidth: valueWidth)
      } else {
        result += kernels.merge(
          states.span.extracting(own), group: group, valueWidth: valueWidth)
      }
    }
    return result
  }

  /// The `channels` of each query of a group side by side, scaled: [channels, group].
  private static func columns(
    _ queries: Span<Float>, _ channels: some Collection<Int>, group: Int, scale: Float
  ) -> [Float] {
    let headDim = queries.count / group
    var result: [Float] = []
    result.reserveCapacity(channels.count * group)
    for channel in channels {
      for head in 0..<group { result.append(queries[head * headDim + channel] * scale) }
    }
    return result
  }

  private func states(
    of pieces: [Piece], heads: [Head], group: Int, valueWidth: Int
  ) -> [Float] {
    let length = Kernels.stateCount(group: group, valueWidth: valueWidth)
    let count = pieces.count * length
    return unsafe [Float](unsafeUninitializedCapacity: count) { states, initialized in
      guard let base = states.baseAddress else { return }
      concurrently(pieces.count, threads: threads) { index in
        let piece = pieces[index]
        let head = heads[piece.head]
        // Each piece has a state of its own, which the loops write whole.
        let own = unsafe UnsafeMutableBufferPointer(start: base + index * length, count: length)
        var state = unsafe own.mutableSpan
        let query = piece.part == .middle ? head.narrow : head.whole
        kernels.attend(
          head.cache.segment(piece.part), piece.tokens, query: query.span, group: group,
          into: &state)
      }
      initialized = count
    }
  }
}
