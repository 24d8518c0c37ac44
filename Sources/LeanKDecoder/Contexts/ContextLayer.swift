import ByteIO
import LeanKMask
import LeanKModel

/// One layer of a pass over contexts: projections, rotation, attention and feed-forward for tokens of
/// a sequence.
struct ContextLayer: Sendable {
  let index: Int
  let description: LayerDescription
  let weights: LayerWeights
  let compute: ComputeContext

  /// Queries of a matrix product.
  private static let block = 64

  /// Rotated queries and the keys and values that they see.
  struct Queries: Sendable {
    /// Which of the pass's sequences.
    let number: Int
    /// Theirs in the sequence.
    let positions: Range<Int>
    let table: RotaryTable?
    /// [positions, query heads * head_dim]
    let queries: Matrix
    let seen: ContextKeys
    let views: [HeadAttention.View]
  }

  /// Rotated queries, keys and values of `x`, which has been normed and is the tokens at `positions`.
  func project(
    _ x: Matrix, _ positions: Range<Int>, _ table: RotaryTable?
  ) -> (query: Matrix, key: Matrix, value: Matrix) {
    var (query, key, value) = weights.attention.projection.forward(x, compute)
    if let table, let geometry = description.attention.rotary?.geometry {
      let headDim = description.attention.headDim
      for (row, position) in positions.enumerated() {
        table.rotate(&query, row: row, position: position, geometry, headDim)
        table.rotate(&key, row: row, position: position, geometry, headDim)
      }
    }
    return (query, key, value)
  }

  func head(_ head: Int) -> HeadAttention {
    HeadAttention(
      scale: description.attention.scale, softcap: description.attention.scoreSoftcap,
      sinkLogit: weights.attention.sinkLogits?[head], kernels: compute.kernels)
  }

  /// Columns of a query head or, among keys and values, of its KV head.
  func columns(_ head: Int) -> Range<Int> {
    head * description.attention.headDim..<(head + 1) * description.attention.headDim
  }

  /// A KV head's keys and values.
  func slices(_ seen: ContextKeys, kvHead: Int) -> (keys: HeadSlice, values: HeadSlice) {
    let width = description.attention.kvHeads * description.attention.headDim
    let tokens = 0..<seen.keys.count / max(1, width)
    return (
      HeadSlice(seen.keys, width: width, tokens: tokens, columns: columns(kvHead)),
      HeadSlice(seen.values, width: width, tokens: tokens, columns: columns(kvHead))
    )
  }

  /// A query head's queries of the rows `rows`.
  func slice(_ call: Queries, head: Int, rows: Range<Int>) -> HeadSlice {
    HeadSlice(
      call.queries.values, width: description.attention.queryHeads * description.attention.headDim,
      tokens: rows, columns: columns(head))
  }

  /// Attention of all queries: [rows, query heads * head_dim].
  func attend(_ call: Queries, _ form: ContextForm) -> Matrix {
    let attention = description.attention
    // The longest first: later queries see more keys.
    let units = (0..<call.views.count).blocks(of: Self.block).reversed().flatMap { rows in
      (0..<attention.queryHeads).map { (head: $0, rows: rows) }
    }
    let width = attention.queryHeads * attention.headDim
    var result = Matrix(rows: call.views.count, columns: width)
    result.values.withDisjointElements { out in
      compute.concurrently(units.count) { number in
        let unit = units[number]
        let kvHead = unit.head / attention.group
        let (keys, values) = slices(call.seen, kvHead: kvHead)
        let head = head(unit.head)
        let weights = head.weights(
          slice(call, head: unit.head, rows: unit.rows), keys, call.views[unit.rows],
          form.middle(layer: index, kvHead: kvHead))
        let output = head.output(weights, values)
        for (row, from) in zip(unit.rows, output.indices.blocks(of: attention.headDim)) {
          let place = row * width + columns(unit.head).lowerBound
          _ = unsafe out.part(place..<place + attention.headDim)
            .update(fromContentsOf: output[from])
        }
      }
    }
    return result
  }
}
