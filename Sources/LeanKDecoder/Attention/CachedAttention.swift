import ByteIO
import LeanKMask
import LeanKModel

/// Attention over a ragged cache: projects the rows that the checkpoint has, rotates them and keeps |M|
/// channels a head.
///
/// Written apart from `ReferenceAttention` on purpose, since one is checked against the other: where
/// that asks for each key whether it is near, this computes ranges.
struct CachedAttention: LayerAttention {
  private let attention: AttentionDescription
  private let policy: AttentionPolicy
  private let heads: [CachedHead]
  private let order: SumOrder
  private var cache: KVCache

  /// Prompt rows that one thread takes at a time.
  private static let block = 16

  /// Fails with `.geometry` when the projections do not have the rows `rows` names, with
  /// `.prunedRows` when windowed mode finds some missing.
  init(
    _ attention: AttentionDescription, _ policy: AttentionPolicy, kept: [ChannelSet],
    rows: [ChannelSet], codec: CacheCodec, order: SumOrder
  ) throws(DecoderError) {
    for head in 0..<attention.kvHeads {
      let count = rows[head].count
      guard kept[head].isSubset(of: rows[head]) else {
        throw DecoderError(.geometry, "KV head \(head): the mask keeps channels without rows")
      }
      let group = head * attention.group..<(head + 1) * attention.group
      guard attention.key.heads[head].count == count,
        attention.query.heads[group].allSatisfy({ $0.count == count })
      else {
        throw DecoderError(
          .geometry,
          "KV head \(head): the checkpoint has \(attention.key.heads[head].count) rows of K where the "
            + "mask asks for \(count)")
      }
      guard policy.window == nil || count == attention.headDim else {
        throw DecoderError(
          .prunedRows, "windowed mode needs all rows of K and Q, use the checkpoint's cache layout")
      }
    }
    guard
      attention.value.heads.reduce(0, { $0 + $1.count }) == attention.kvHeads * attention.headDim
    else { throw DecoderError(.geometry, "V of a pruned checkpoint has all rows") }
    self.attention = attention
    self.policy = policy
    self.order = order
    let heads = (0..<attention.kvHeads).map {
      CachedHead(kept: kept[$0], rows: rows[$0], attention.rotary?.geometry)
    }
    self.heads = heads
    cache = KVCache(
      heads: heads.map { ($0.kept, $0.rows) }, valueWidth: attention.headDim,
      window: policy.window, emptyHeads: policy.emptyHeads, codec: codec,
      // A sum has no order that the reference could have, and forgets nothing.
      sumsValues: order != .ascending && attention.slidingWindow == nil)
  }

  var cached: CacheSize { cache.size }

  mutating func attend(
    _ x: Matrix, _ pass: TokenPass, _ weights: AttentionWeights, _ rotary: RotaryTable?,
    _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    let (query, key, value) = weights.projection.forward(x, compute)
    let queryColumns = weights.projection.queryColumns.heads
    let keyColumns = weights.projection.keyColumns.heads
    let group = attention.group
    let heads = heads
    let isParallel = pass.rows > 1
    let tokens = (isParallel ? compute : compute.serial).concurrentMap(heads.count) { head in
      HeadTokens(
        queries: heads[head].rotated(
          query, from: queryColumns[head * group].lowerBound, heads: group, pass, rotary),
        keys: heads[head].rotated(
          key, from: keyColumns[head].lowerBound, heads: 1, pass, rotary))
    }
    let call = Call(
      pass: pass, tokens: tokens, value: value,
      kernel: CacheAttention(
        group: group, scale: attention.scale, softcap: attention.scoreSoftcap,
        sinkLogits: weights.sinkLogits, order: order), compute: compute)
    if pass.rows == 1 { return step(call) }
    var result = Matrix(rows: x.rows, columns: attention.queryHeads * attention.headDim)
    result.values.withDisjointElements { out in
      attendPrompt(call, into: out)
      decode(call, into: out)
    }
    return result
  }

  /// One KV head's columns of a call, rotated.
  private struct HeadTokens: Sendable {
    /// [rows, group, channels of the projections]
    let queries: [Float]
    /// [rows, channels of the projections]
    let keys: [Float]
  }

  /// What the heads of one call share.
  private struct Call: Sendable {
    let pass: TokenPass
    let tokens: [HeadTokens]
    let value: Matrix
    let kernel: CacheAttention
    let compute: ComputeContext
  }

  /// Positions that the query of `row` may see, itself included.
  private func visible(_ row: Int, _ pass: TokenPass) -> Range<Int> {
    let position = pass.first + row
    return attention.firstVisible(position: position)..<position + 1
  }

  private func queries(_ call: Call, rows: Range<Int>, head: Int) -> ArraySlice<Float> {
    let width = attention.group * heads[head].rows
    return call.tokens[head].queries[rows.lowerBound * width..<rows.upperBound * width]
  }

  // MARK: - One token

  private mutating func step(_ call: Call) -> Matrix {
    let keys = call.tokens.flatMap(\.keys)
    cache.append(
      key: keys.span, value: call.value.values.span,
      middleEnd: call.pass.middleEnd(row: 0, policy))
    return Matrix(
      rows: 1, columns: attention.queryHeads * attention.headDim,
      values: call.kernel.attend(
        call.tokens.map { $0.queries[...] }, cache, visible: visible(0, call.pass), call.compute))
  }

  // MARK: - Several tokens

  /// The row from which a head takes tokens one by one: the prompt's too where they follow the window,
  /// or where a sum stands for the values.
  private func firstDecodedRow(_ head: KVCacheHead, _ pass: TokenPass) -> Int {
    let isSequential = policy.window == nil ? head.middleKind == .sum : policy.prefill == .windowed
    return isSequential ? 0 : pass.prompt
  }

  /// The prompt in one pass: in windowed mode with its own keys whole, in static mode with kept
  /// channels; the keys before it as they are cached.
  private mutating func attendPrompt(_ call: Call, into out: DisjointElements<Float>) {
    let pass = call.pass
    let isStatic = policy.window == nil
    guard pass.prompt > 0, isStatic || policy.prefill == .dense else { return }
    if isStatic { store(call, middleEnd: 0) }
    let own =
      isStatic ? [] : call.compute.concurrentMap(heads.count) { [self] in ownKeys(call, $0) }
    let blocks = (0..<pass.prompt).blocks(of: Self.block)
    let attention = self
    call.compute.concurrently(heads.count * blocks.count) { index in
      let head = index / blocks.count
      let cache = attention.cache.heads[head]
      guard attention.firstDecodedRow(cache, pass) > 0 else { return }
      var rest = blocks[index % blocks.count]
      while !rest.isEmpty {
        let rows = attention.together(rest, call, isStatic: isStatic)
        rest = rows.upperBound..<rest.upperBound
        let visible = attention.visible(rows.upperBound - 1, pass)
        var source = CacheAttention.Source(
          head: cache, runs: cache.runs(isStatic ? visible : visible.clamped(to: 0..<pass.first)))
        if !isStatic {
          source.own = (own[head], max(0, visible.lowerBound - pass.first)..<rows.upperBound)
        }
        attention.attend(call, source, rows: rows, head: head, into: out)
      }
    }
    if !isStatic {
      // What the first decoded token cannot see whole passes to the middle.
      let end = pass.first + pass.prompt - (policy.window?.recent ?? 0)
      store(call, middleEnd: max(pass.middleEndBefore, end))
    }
  }

  /// The first of `rows` that attend together: they see the same first token.
  private func together(_ rows: Range<Int>, _ call: Call, isStatic: Bool) -> Range<Int> {
    let first = rows.lowerBound
    let visible = visible(first, call.pass)
    // The run that ends with the row's own token: of the cache, or of the call's own.
    let own = isStatic ? visible : visible.clamped(to: call.pass.first..<visible.upperBound)
    let count = call.kernel.rows(upTo: rows.count, after: own.count)
    let isSliding = self.visible(first + count - 1, call.pass).lowerBound > visible.lowerBound
    return first..<first + (isSliding ? 1 : count)
  }

  /// Puts the prompt into the cache, but for heads that take it token by token.
  private mutating func store(_ call: Call, middleEnd: Int) {
    let (pass, attention) = (call.pass, self)
    cache.withHeads { heads in
      call.compute.concurrently(heads.count) { index in
        heads.withElement(index) { head in
          let rows = attention.firstDecodedRow(head, pass)
          if rows > 0 { head.reserveMore(rows, middleEnd: middleEnd) }
          for row in 0..<rows {
            attention.append(call, row: row, head: index, middleEnd: middleEnd, to: &head)
          }
        }
      }
    }
  }

  /// The prompt's own keys and values of one head, whole.
  private func ownKeys(_ call: Call, _ head: Int) -> KVSegment {
    let rows = heads[head].rows
    var own = KVSegment(
      codec: cache.codec, width: rows, valueWidth: attention.headDim, capacity: call.pass.prompt)
    let keys = call.tokens[head].keys
    for row in 0..<call.pass.prompt {
      own.store(
        row, key: keys.span.extracting(row * rows..<(row + 1) * rows),
        channels: nil,
        value: call.value.values.span.extracting(valuePlace(call, row: row, head: head)))
    }
    return own
  }

  /// Tokens one by one: each is put into the cache before its query looks.
  private mutating func decode(_ call: Call, into out: DisjointElements<Float>) {
    let (pass, attention) = (call.pass, self)
    cache.withHeads { heads in
      call.compute.concurrently(heads.count) { index in
        heads.withElement(index) { head in
          for row in attention.firstDecodedRow(head, pass)..<pass.rows {
            attention.append(
              call, row: row, head: index, middleEnd: pass.middleEnd(row: row, attention.policy),
              to: &head)
            let source = CacheAttention.Source(
              head: head, runs: head.runs(attention.visible(row, pass)))
            attention.attend(call, source, rows: row..<row + 1, head: index, into: out)
          }
        }
      }
    }
  }

  private func append(
    _ call: Call, row: Int, head: Int, middleEnd: Int, to cache: inout KVCacheHead
  ) {
    let rows = heads[head].rows
    let keys = call.tokens[head].keys
    cache.append(
      key: keys.span.extracting(row * rows..<(row + 1) * rows),
      value: call.value.values.span.extracting(valuePlace(call, row: row, head: head)),
      middleEnd: middleEnd)
  }

  /// Where the value of a row and KV head lies.
  private func valuePlace(_ call: Call, row: Int, head: Int) -> Range<Int> {
    let first = row * call.value.columns + head * attention.headDim
    return first..<first + attention.headDim
  }

  /// Attention of some rows and one KV head, written to its place in [rows, query heads * head_dim].
  private func attend(
    _ call: Call, _ source: CacheAttention.Source, rows: Range<Int>, head: Int,
    into out: DisjointElements<Float>
  ) {
    let query = call.kernel.query(
      queries(call, rows: rows, head: head), rows: rows.count, kept: heads[head].kept)
    let part = call.kernel.attend(query, source, kvHead: head, call.compute.kernels)
    let width = part.count / rows.count
    for (index, row) in rows.enumerated() {
      let first = row * attention.queryHeads * attention.headDim + head * width
      _ = unsafe out.part(first..<first + width).update(
        fromContentsOf: part[index * width..<(index + 1) * width])
    }
  }
}
