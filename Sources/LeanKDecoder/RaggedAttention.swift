import ByteIO
import LeanKMask
import LeanKModel

/// The pruned side: projects the rows that the checkpoint has, rotates them and caches |M| channels
/// a head.
///
/// Written apart from `MaskedAttention` on purpose, since one is checked against the other.
final class RaggedAttention: LayerAttention {
  private let context: AttentionContext
  private let heads: [RaggedHead]

  /// Fails with `.geometry` when the projections do not have the rows `rows` names, with
  /// `.prunedRows` when windowed mode finds some missing.
  init(
    _ context: AttentionContext, kept: [ChannelSet], rows: [ChannelSet]
  ) throws(DecoderError) {
    let attention = context.attention
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
      guard context.options.mode == .static || count == attention.headDim else {
        throw DecoderError(
          .prunedRows, "windowed mode needs all rows of K and Q, use the checkpoint's cache layout")
      }
    }
    self.context = context
    heads = (0..<attention.kvHeads).map { RaggedHead(kept: kept[$0], rows: rows[$0], context) }
  }

  var cached: CacheSize { heads.reduce(CacheSize()) { $0 + $1.cached } }

  func attend(
    _ x: Matrix, from position: Int, weights: WeightStore
  ) throws(DecoderError) -> Matrix {
    let attention = context.attention
    let headDim = attention.headDim
    var query = try weights.apply(attention.query, to: x, multiply: context.multiply)
    var key = try weights.apply(attention.key, to: x, multiply: context.multiply)
    let value = try weights.apply(attention.value, to: x, multiply: context.multiply)
    guard value.columns == attention.kvHeads * headDim else {
      throw DecoderError(
        .geometry, "\(value.columns) rows of V where \(attention.kvHeads * headDim) are needed")
    }
    let queryColumns = HeadColumns(attention.query, headDim: headDim)
    let keyColumns = HeadColumns(attention.key, headDim: headDim)
    try attention.queryKeyNorm?.apply(to: &query, .query, queryColumns, weights: weights)
    try attention.queryKeyNorm?.apply(to: &key, .key, keyColumns, weights: weights)
    context.rotary?.extend(to: position + x.rows)
    let sinks =
      if let name = attention.sinks {
        try weights.vector(name, count: attention.queryHeads)
      } else {
        nil as [Float]?
      }
    let group = attention.group
    let parts = concurrentMap(heads.count, threads: context.multiply.threads) { index in
      let input = RaggedHead.Input(
        query: query, queryColumn: queryColumns.heads[index * group].lowerBound, key: key,
        keyColumn: keyColumns.heads[index].lowerBound, value: value, valueColumn: index * headDim)
      return heads[index].attend(
        input, from: position, context, sinks: sinks?[index * group..<(index + 1) * group])
    }
    let width = group * headDim
    var result = Matrix(rows: x.rows, columns: heads.count * width)
    for (index, part) in parts.enumerated() {
      for row in 0..<x.rows {
        let first = row * result.columns + index * width
        result.values.replaceSubrange(
          first..<first + width, with: part[row * width..<(row + 1) * width])
      }
    }
    return result
  }
}
