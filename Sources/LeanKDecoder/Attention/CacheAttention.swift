import RealModule

/// Attention of new tokens over a ragged cache: the one decode attention, of `verify`'s pruned side, of
/// generation and of `bench`.
///
/// Query heads of a group share each load of a key and a value. In the fast order tokens are cut into
/// pieces of a fixed length whose results are merged in order, so the outcome does not depend on the
/// threads; in ascending order all scores of a query come before its softmax. Tokens of a prompt are taken
/// several at a time, as if they were more query heads.
struct CacheAttention: Sendable {
  /// Query heads a KV head.
  let group: Int
  let scale: Float
  var softcap: Float?
  /// [query heads]; nil where the softmax has no further logit.
  var sinkLogits: [Float]?
  var order = SumOrder.fast

  /// Tokens of one piece of work.
  private static let chunk = 2048

  /// The queries of one KV head and of some tokens, rows.
  struct Query: Sendable {
    /// All channels that near keys have, and those that middle keys keep.
    let whole: Kernels.AttentionQuery
    let narrow: Kernels.AttentionQuery

    /// Query heads of all rows.
    var heads: Int { whole.group }
  }

  /// `values`: rotated queries of the group, [rows, group, width].
  func query(_ values: ArraySlice<Float>, rows: Int = 1, kept: [Int32]) -> Query {
    let heads = rows * group
    let width = values.count / heads
    func columns(_ channels: some Collection<Int>) -> Kernels.AttentionQuery {
      var result: [Float] = []
      result.reserveCapacity(channels.count * heads)
      for channel in channels {
        for head in 0..<heads {
          result.append(values[values.startIndex + head * width + channel] * scale)
        }
      }
      return Kernels.AttentionQuery(values: result, group: heads, rows: rows, softcap: softcap)
    }
    let whole = columns(0..<width)
    let isWhole = kept.count == width
    return Query(whole: whole, narrow: isWhole ? whole : columns(kept.lazy.map { Int($0) }))
  }

  // MARK: - One token

  /// What a token and KV head attends to: runs of the cache, then tokens of the call's own. Of several
  /// rows that of the last one: each row before it sees one token less than the next, the last one of
  /// the last run.
  struct Source: Sendable {
    let head: KVCacheHead
    let runs: [KVCacheHead.Run]
    /// The call's own tokens with whole keys, and how many of them the token sees.
    var own: (segment: KVSegment, tokens: Range<Int>)?

    /// Each run of tokens with its segment, ascending.
    fileprivate var parts: [(segment: KVSegment, tokens: Range<Int>, isNarrow: Bool)] {
      var parts = runs.map { (head.segment($0.part), $0.tokens, $0.part == .middle) }
      if let own, !own.tokens.isEmpty { parts.append((own.segment, own.tokens, false)) }
      return parts
    }
  }

  /// The number of tokens from `first` on, up to `limit`, that `attend` takes together as rows. Of the run
  /// that ends with a row's own token, `tokens` are seen by the one at `first`.
  func rows(upTo limit: Int, after tokens: Int) -> Int {
    // Scores in ascending order are a token's own; pieces are cut for all rows alike.
    order == .ascending ? 1 : min(limit, Self.chunk - (tokens - 1) % Self.chunk)
  }

  /// Attention of one KV head and of the query's rows, [rows, group, value width]; 0 where a row sees
  /// nothing.
  func attend(
    _ query: Query, _ source: Source, kvHead: Int, _ kernels: Kernels
  ) -> [Float] {
    order == .ascending
      ? attendAscending(query, source, kvHead: kvHead, kernels)
      : merge(
        pieces(source).map { state(of: $0, query, kernels) }, source, rows: query.whole.rows,
        kvHead: kvHead, kernels)
  }

  /// One token over every head of a cache, [KV heads * group * value width]; pieces go to all threads.
  ///
  /// `queries`: rotated, [KV heads, group, width]. The token is in the cache already.
  func attend(
    _ queries: [ArraySlice<Float>], _ cache: KVCache, visible: Range<Int>, _ compute: ComputeContext
  ) -> [Float] {
    let kernels = compute.kernels
    let units = zip(cache.heads, queries).map { head, values in
      (query: query(values, kept: head.kept), source: Source(head: head, runs: head.runs(visible)))
    }
    if order == .ascending {
      return compute.concurrentMap(units.count) { index in
        attend(units[index].query, units[index].source, kvHead: index, kernels)
      }.flatMap(\.self)
    }
    var work: [(unit: Int, piece: Piece)] = []
    for (index, unit) in units.enumerated() {
      work += pieces(unit.source).map { (index, $0) }
    }
    let todo = work
    let states = compute.concurrentMap(todo.count) { index in
      state(of: todo[index].piece, units[todo[index].unit].query, kernels)
    }
    var result: [Float] = []
    result.reserveCapacity(cache.heads.count * group * cache.valueWidth)
    var next = 0
    for (index, unit) in units.enumerated() {
      let first = next
      while next < todo.count, todo[next].unit == index { next += 1 }
      result += merge(Array(states[first..<next]), unit.source, rows: 1, kvHead: index, kernels)
    }
    return result
  }

  // MARK: - Fast order

  /// Tokens of one segment that one thread takes.
  private struct Piece: Sendable {
    let segment: KVSegment
    let tokens: Range<Int>
    let isNarrow: Bool
    /// Whether it has a row's own token, which the rows before do not see.
    var isLast = false
  }

  private func pieces(_ source: Source) -> [Piece] {
    var pieces = source.parts.flatMap { segment, tokens, isNarrow in
      tokens.blocks(of: Self.chunk).map {
        Piece(segment: segment, tokens: $0, isNarrow: isNarrow)
      }
    }
    if !pieces.isEmpty { pieces[pieces.count - 1].isLast = true }
    return pieces
  }

  private func state(of piece: Piece, _ query: Query, _ kernels: Kernels) -> [Float] {
    let count = Kernels.stateCount(group: query.heads, valueWidth: piece.segment.valueWidth)
    return unsafe [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      // The loops write the state whole.
      var state = unsafe UnsafeMutableBufferPointer(rebasing: buffer[..<count]).mutableSpan
      kernels.attend(
        piece.segment, piece.tokens, piece.isNarrow ? query.narrow : query.whole,
        staggered: piece.isLast, into: &state)
      initialized = count
    }
  }

  private func merge(
    _ states: [[Float]], _ source: Source, rows: Int, kvHead: Int, _ kernels: Kernels
  ) -> [Float] {
    let valueWidth = source.head.recent.valueWidth
    let heads = rows * group
    var all: [Float] = []
    // A further logit has weight and no value.
    if let sinkLogits {
      for _ in 0..<rows { all += sinkLogits[kvHead * group..<(kvHead + 1) * group] }
      all += [Float](repeating: 1, count: heads)
      all += [Float](repeating: 0, count: heads * valueWidth)
    }
    if let sum = source.head.summedState(group: heads) { all += sum }
    for state in states { all += state }
    return kernels.merge(all.span, group: heads, valueWidth: valueWidth)
  }

  // MARK: - Ascending order

  private func attendAscending(
    _ query: Query, _ source: Source, kvHead: Int, _ kernels: Kernels
  ) -> [Float] {
    precondition(source.head.middleKind != .sum, "a sum of values has an order of its own")
    let parts = source.parts
    let count = parts.reduce(0) { $0 + $1.tokens.count }
    let valueWidth = source.head.recent.valueWidth
    var scores = [Float](repeating: 0, count: group * count)
    var first = 0
    for part in parts {
      kernels.scores(
        into: &scores, at: first, stride: count, part.segment, part.tokens,
        part.isNarrow ? query.narrow : query.whole)
      first += part.tokens.count
    }
    var factors: [Float] = []
    for head in 0..<group {
      let own = head * count..<(head + 1) * count
      var largest = sinkLogits?[kvHead * group + head] ?? -.infinity
      for index in own {
        if let softcap { scores[index] = Float.tanh(scores[index] / softcap) * softcap }
        largest = max(largest, scores[index])
      }
      var sum = kernels.exponentials(&scores, own, shift: largest)
      if let sinkLogits { sum += Float.exp(sinkLogits[kvHead * group + head] - largest) }
      factors.append(1 / sum)
    }
    var result = [Float](repeating: 0, count: group * valueWidth)
    first = 0
    for part in parts {
      var out = result.mutableSpan
      kernels.addValues(
        into: &out, scores.span, at: first, stride: count, part.segment, part.tokens,
        part.isNarrow ? query.narrow : query.whole)
      first += part.tokens.count
    }
    for index in result.indices where count > 0 { result[index] *= factors[index / valueWidth] }
    return result
  }
}
