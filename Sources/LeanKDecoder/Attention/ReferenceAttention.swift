import ByteIO
import LeanKMask
import LeanKModel
import RealModule

/// Attention over whole keys, to which a mask or factors are applied where they are seen.
///
/// Written apart from `CachedAttention` on purpose, from rotation to softmax, since one is checked
/// against the other: keys lie in full-width rows, blocks of queries meet them in a matrix product, and
/// each key is asked whether it is near.
struct ReferenceAttention: LayerAttention {
  let attention: AttentionDescription
  let policy: AttentionPolicy
  let keyScale: KeyScale
  let order: SumOrder
  /// Whole keys, [tokens, KV heads * head_dim]; not stored where every key is seen scaled.
  private(set) var keys: [Float] = []
  /// Keys as the scale leaves them; stored where there is a scale.
  private(set) var scaledKeys: [Float] = []
  private(set) var values: [Float] = []

  /// Queries of one matrix product.
  private static let block = 64

  /// Fails with `.geometry` unless the projections have all rows of Q and K.
  init(
    _ attention: AttentionDescription, _ policy: AttentionPolicy, _ keyScale: KeyScale,
    order: SumOrder
  ) throws(DecoderError) {
    guard
      (attention.query.heads + attention.key.heads).allSatisfy({ $0.count == attention.headDim })
    else {
      throw DecoderError(.geometry, "the dense side needs a checkpoint with all rows of Q and K")
    }
    self.attention = attention
    self.policy = policy
    self.keyScale = keyScale
    self.order = order
  }

  /// Whether every key is seen scaled.
  var isStatic: Bool { !keyScale.isNone && policy.window == nil }

  var cached: CacheSize {
    CacheSize(keys: isStatic ? scaledKeys.count : keys.count, values: values.count)
  }

  mutating func attend(
    _ x: Matrix, _ pass: TokenPass, _ weights: AttentionWeights, _ rotary: RotaryTable?,
    _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    var (query, key, value) = weights.projection.forward(x, compute)
    if let rotary, let geometry = attention.rotary?.geometry {
      for row in 0..<query.rows {
        rotary.rotate(&query, row: row, position: pass.first + row, geometry, attention.headDim)
        rotary.rotate(&key, row: row, position: pass.first + row, geometry, attention.headDim)
      }
    }
    values += value.values
    if !isStatic { keys += key.values }
    var call = Call(
      query: query, scaledQuery: nil, pass: pass, sinkLogits: weights.sinkLogits,
      kernels: compute.kernels)
    if !keyScale.isNone {
      let headDim = attention.headDim
      scaledKeys += keyScale.scaled(keys: key, headDim: headDim).values
      call.scaledQuery = keyScale.scaled(
        queries: query, group: attention.group, headDim: headDim)
    }
    let (cache, given) = (self, call)
    let parts = compute.concurrentMap(attention.queryHeads) { head in
      cache.order == .ascending
        ? cache.attendAscending(head: head, given) : cache.attend(head: head, given)
    }
    return Matrix(
      columnBlocks: parts, rows: x.rows, columns: attention.queryHeads * attention.headDim)
  }

  /// What the heads of one call share.
  struct Call: Sendable {
    let query: Matrix
    /// nil where keys are not scaled.
    var scaledQuery: Matrix?
    let pass: TokenPass
    let sinkLogits: [Float]?
    let kernels: Kernels
  }

  // MARK: - Near and middle

  /// Whether the query of a row sees a key through the scale.
  func isMiddle(key: Int, row: Int, _ pass: TokenPass) -> Bool {
    guard !keyScale.isNone else { return false }
    guard let window = policy.window else { return true }
    guard key >= window.sink else { return false }
    if key < pass.middleEndBefore { return true }
    let token = pass.decodedToken(row: row)
    guard token > 0 || policy.prefill == .windowed else { return false }
    return !window.isNear(key: key, token: token, position: pass.first + row)
  }

  /// Whether some query of `rows` sees a key through the scale. Middles grow: the last query decides.
  private func hasMiddle(_ rows: Range<Int>, _ pass: TokenPass) -> Bool {
    guard let window = policy.window, !keyScale.isNone else { return !keyScale.isNone }
    let last = rows.upperBound - 1
    return window.sink <= pass.first + last && isMiddle(key: window.sink, row: last, pass)
  }

  // MARK: - Blocks of queries

  /// One query head over all tokens of the call: [tokens, head_dim].
  private func attend(head: Int, _ call: Call) -> [Float] {
    let headDim = attention.headDim
    let width = attention.kvHeads * headDim
    let kvHead = head / attention.group
    let (query, pass) = (call.query, call.pass)
    var result: [Float] = []
    result.reserveCapacity(query.rows * headDim)
    var row = 0
    while row < query.rows {
      // Decoded tokens come one at a time, as they would.
      let end = row < pass.prompt ? min(row + Self.block, pass.prompt) : row + 1
      let queries = Kernels.Rows(end - row, width: headDim, stride: query.columns)
      let first = attention.firstVisible(position: pass.first + row)
      let count = pass.first + end - first
      let present = Kernels.Rows(count, width: headDim, stride: width)
      let offset = first * width + kvHead * headDim
      let start = row * query.columns + head * headDim
      var scores: [Float] = []
      if !isStatic {
        scores = products(
          query.values.span.extracting(droppingFirst: start), queries,
          keys.span.extracting(droppingFirst: offset), present, call.kernels)
      }
      var middleScores: [Float] = []
      if let scaled = call.scaledQuery, hasMiddle(row..<end, pass) {
        middleScores = products(
          scaled.values.span.extracting(droppingFirst: start), queries,
          scaledKeys.span.extracting(droppingFirst: offset), present, call.kernels)
        if isStatic { swap(&scores, &middleScores) }
      }
      var sums: [Float] = []
      for index in 0..<queries.count {
        sums.append(
          weigh(
            &scores, index * count..<(index + 1) * count, middle: middleScores, row: row + index,
            firstKey: first, head: head, call))
      }
      result += weightedValues(
        scores, sums, .init(queries.count, width: count),
        values.span.extracting(droppingFirst: offset), present, call.kernels)
      row = end
    }
    return result
  }

  /// `a bᵀ`, [aRows.count, bRows.count].
  private func products(
    _ a: Span<Float>, _ aRows: Kernels.Rows, _ b: Span<Float>, _ bRows: Kernels.Rows,
    _ kernels: Kernels
  ) -> [Float] {
    var result = [Float](repeating: 0, count: aRows.count * bRows.count)
    if order == .alternative {
      kernels.dotRows(into: &result, stride: bRows.count, a, aRows, b, bRows)
    } else {
      Blas.scores(into: &result, stride: bRows.count, a, aRows, b, bRows)
    }
    return result
  }

  /// Weighted values of each query, [queries, head_dim], from exponentials and their sums.
  private func weightedValues(
    _ weights: [Float], _ sums: [Float], _ rows: Kernels.Rows, _ values: Span<Float>,
    _ present: Kernels.Rows, _ kernels: Kernels
  ) -> [Float] {
    var weights = weights
    func divide(_ x: inout [Float], width: Int) {
      for row in 0..<rows.count {
        for index in row * width..<(row + 1) * width { x[index] /= sums[row] }
      }
    }
    guard order == .alternative else {
      divide(&weights, width: rows.width)
      return Blas.weightedSum(weights.span, rows, values, present)
    }
    var result = [Float](repeating: 0, count: rows.count * present.width)
    kernels.addRows(into: &result, stride: present.width, weights.span, rows, values, present)
    divide(&result, width: present.width)
    return result
  }

  /// Turns one query's raw scores into exponentials: near or middle, scale, cap, visibility. Returns
  /// their sum.
  private func weigh(
    _ scores: inout [Float], _ range: Range<Int>, middle: [Float], row: Int, firstKey: Int,
    head: Int, _ call: Call
  ) -> Float {
    let position = call.pass.first + row
    let visible = attention.firstVisible(position: position)
    let dropsMiddle =
      !isStatic && keyScale.isAbsent(kvHead: head / attention.group, policy.emptyHeads)
    let sink = call.sinkLogits?[head]
    var largest = sink ?? -.infinity
    for index in range {
      let key = firstKey + index - range.lowerBound
      guard key >= visible, key <= position else {
        scores[index] = -.infinity
        continue
      }
      let isMiddle = !isStatic && isMiddle(key: key, row: row, call.pass)
      guard !(isMiddle && dropsMiddle) else {
        scores[index] = -.infinity
        continue
      }
      var score = (isMiddle ? middle[index] : scores[index]) * attention.scale
      if let cap = attention.scoreSoftcap { score = Float.tanh(score / cap) * cap }
      scores[index] = score
      largest = max(largest, score)
    }
    var sum = sink.map { Float.exp($0 - largest) } ?? 0
    for index in range {
      scores[index] = Float.exp(scores[index] - largest)
      sum += scores[index]
    }
    return sum
  }
}
