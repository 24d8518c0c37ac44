import ByteIO
import LeanKMask
import LeanKModel
import RealModule

/// The dense side: keeps whole keys and applies the mask to them.
///
/// Written apart from `RaggedAttention` on purpose, since one is checked against the other: blocks
/// of queries meet all keys in a matrix product, and the mask is a selection on full-width rows.
final class MaskedAttention: LayerAttention {
  let context: AttentionContext
  /// Kept channels by KV head; nil = no mask at all.
  let kept: [ChannelSet]?
  /// Whole keys, [tokens, KV heads * head_dim]; not stored in static mode under a mask.
  private(set) var keys: [Float] = []
  /// Keys with 0 outside M; stored under a mask.
  private(set) var maskedKeys: [Float] = []
  private(set) var values: [Float] = []

  /// Queries of one matrix product.
  private static let block = 64

  init(_ context: AttentionContext, kept: [ChannelSet]?) {
    self.context = context
    self.kept = kept
  }

  private var isStatic: Bool { kept != nil && context.options.mode == .static }

  var cached: CacheSize {
    CacheSize(keys: isStatic ? maskedKeys.count : keys.count, values: values.count)
  }

  func attend(
    _ x: Matrix, from position: Int, weights: WeightStore
  ) throws(DecoderError) -> Matrix {
    let attention = context.attention
    let headDim = attention.headDim
    var query = try weights.apply(attention.query, to: x, multiply: context.multiply)
    var key = try weights.apply(attention.key, to: x, multiply: context.multiply)
    let value = try weights.apply(attention.value, to: x, multiply: context.multiply)
    guard query.columns == attention.queryHeads * headDim,
      key.columns == attention.kvHeads * headDim, value.columns == attention.kvHeads * headDim
    else {
      throw DecoderError(.geometry, "the dense side needs a checkpoint with all rows of Q and K")
    }
    try attention.queryKeyNorm?.apply(
      to: &query, .query, HeadColumns(attention.query, headDim: headDim), weights: weights)
    try attention.queryKeyNorm?.apply(
      to: &key, .key, HeadColumns(attention.key, headDim: headDim), weights: weights)
    rotate(&query, from: position)
    rotate(&key, from: position)

    values += value.values
    if !isStatic { keys += key.values }
    var maskedQuery: Matrix?
    if let kept {
      select(&key, kept, group: 1)
      maskedKeys += key.values
      var selected = query
      select(&selected, kept, group: attention.group)
      maskedQuery = selected
    }
    let sinks =
      if let name = attention.sinks {
        try weights.vector(name, count: attention.queryHeads)
      } else {
        nil as [Float]?
      }
    let parts = concurrentMap(attention.queryHeads, threads: context.multiply.threads) { head in
      context.options.isExact
        ? self.attendExactly(
          head: head, query: query, maskedQuery: maskedQuery, from: position, sink: sinks?[head])
        : self.attend(
          head: head, query: query, maskedQuery: maskedQuery, from: position, sink: sinks?[head])
    }
    var result = Matrix(rows: x.rows, columns: attention.queryHeads * headDim)
    for (head, part) in parts.enumerated() {
      for row in 0..<x.rows {
        let first = row * result.columns + head * headDim
        result.values.replaceSubrange(
          first..<first + headDim, with: part[row * headDim..<(row + 1) * headDim])
      }
    }
    return result
  }

  /// Rotates the pairs of every head of full-width rows.
  private func rotate(_ x: inout Matrix, from position: Int) {
    guard let table = context.rotary, let geometry = context.attention.rotary?.geometry else {
      return
    }
    table.extend(to: position + x.rows)
    let headDim = context.attention.headDim
    let pairs = table.pairs
    let (step, reach) = geometry.pairing == .half ? (1, pairs) : (2, 1)
    for row in 0..<x.rows {
      let angles = (position + row) * pairs
      for head in stride(from: row * x.columns, to: (row + 1) * x.columns, by: headDim) {
        for pair in 0..<pairs {
          let cosine = table.cosine[angles + pair]
          let sine = table.sine[angles + pair]
          let first = head + pair * step
          let a = x.values[first]
          let b = x.values[first + reach]
          x.values[first] = a * cosine - b * sine
          x.values[first + reach] = b * cosine + a * sine
        }
      }
    }
  }

  /// Puts 0 where the mask keeps nothing, whatever is there, `group` heads sharing a mask.
  private func select(_ x: inout Matrix, _ kept: [ChannelSet], group: Int) {
    let headDim = context.attention.headDim
    for (kvHead, set) in kept.enumerated() {
      let dropped = (0..<headDim).filter { !set[$0] }
      for head in kvHead * group..<(kvHead + 1) * group {
        for row in 0..<x.rows {
          let first = row * x.columns + head * headDim
          for channel in dropped { x.values[first + channel] = 0 }
        }
      }
    }
  }

  /// One query head over all tokens of the call: [tokens, head_dim].
  private func attend(
    head: Int, query: Matrix, maskedQuery: Matrix?, from position: Int, sink: Float?
  ) -> [Float] {
    let headDim = context.attention.headDim
    let width = context.attention.kvHeads * headDim
    let kvHead = head / context.attention.group
    var result: [Float] = []
    result.reserveCapacity(query.rows * headDim)
    var row = 0
    while row < query.rows {
      // Decoded tokens come one at a time, as they would.
      let isPrompt = position + row < context.promptLength
      let end =
        isPrompt ? min(row + Self.block, query.rows, context.promptLength - position) : row + 1
      let queries = Kernels.Rows(end - row, width: headDim, stride: query.columns)
      let first = context.firstVisible(position: position + row)
      let count = position + end - first
      let present = Kernels.Rows(count, width: headDim, stride: width)
      let offset = first * width + kvHead * headDim
      var scores = [Float](repeating: 0, count: queries.count * count)
      var middleScores: [Float] = []
      if !isStatic {
        context.multiply.scores(
          into: &scores, stride: count,
          query.values.span.extracting(droppingFirst: row * query.columns + head * headDim),
          queries,
          keys.span.extracting(droppingFirst: offset), present)
      }
      if let maskedQuery, isStatic || hasMiddle(position: position + end - 1) {
        middleScores = [Float](repeating: 0, count: queries.count * count)
        context.multiply.scores(
          into: &middleScores, stride: count,
          maskedQuery.values.span.extracting(droppingFirst: row * query.columns + head * headDim),
          queries, maskedKeys.span.extracting(droppingFirst: offset), present)
        if isStatic { swap(&scores, &middleScores) }
      }
      for index in 0..<queries.count {
        weigh(
          &scores, index * count..<(index + 1) * count, middle: middleScores,
          position: position + row + index, firstKey: first, kvHead: kvHead, sink: sink)
      }
      result += context.multiply.weightedSum(
        scores.span, .init(queries.count, width: count),
        values.span.extracting(droppingFirst: offset), present)
      row = end
    }
    return result
  }

  /// Whether the query at `position`, or one before it, sees keys through the mask.
  private func hasMiddle(position: Int) -> Bool {
    guard case .windowed(let window) = context.options.mode,
      let end = context.options.middleEnd(position: position, promptLength: context.promptLength)
    else { return false }
    return end > window.sink
  }

  /// Turns one query's raw scores into weights: window, scale, cap, visibility, softmax.
  private func weigh(
    _ scores: inout [Float], _ range: Range<Int>, middle: [Float], position: Int, firstKey: Int,
    kvHead: Int, sink: Float?
  ) {
    let attention = context.attention
    let visible = context.firstVisible(position: position)
    var middleKeys = 0..<0
    var dropsMiddle = false
    if let kept, case .windowed(let window) = context.options.mode,
      let end = context.options.middleEnd(position: position, promptLength: context.promptLength),
      end > window.sink
    {
      middleKeys = window.sink..<end
      dropsMiddle = kept[kvHead].isEmpty && context.options.emptyHeads == .absent
    }
    var largest = sink ?? -.infinity
    for index in range {
      let key = firstKey + index - range.lowerBound
      let isMiddle = middleKeys.contains(key)
      guard key >= visible, key <= position, !(isMiddle && dropsMiddle) else {
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
    for index in range { scores[index] /= sum }
  }
}
