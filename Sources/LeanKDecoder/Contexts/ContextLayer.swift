import ByteIO
import LeanKMask
import LeanKModel

/// One layer of a pass over contexts: projections, rotation, attention and feed-forward for tokens of
/// one or several sequences.
struct ContextLayer: Sendable {
  let index: Int
  let description: LayerDescription
  let weights: LayerWeights
  let compute: ComputeContext

  /// Queries of a matrix product.
  private static let block = 64

  /// Tokens of one sequence among the rows of a matrix.
  struct Part: Sendable {
    let sequence: ContextSequence
    /// Their positions; the first one's row is `firstRow`.
    let positions: Range<Int>
    let firstRow: Int
    let table: RotaryTable?

    var rows: Range<Int> { firstRow..<firstRow + positions.count }
  }

  /// Rotated queries and the keys and values that they see, of one part.
  struct Queries: Sendable {
    /// Which of the pass's sequences.
    let number: Int
    let part: Part
    /// [rows of all parts, query heads * head_dim]
    let queries: Matrix
    let seen: ContextKeys
    let views: [HeadAttention.View]
  }

  /// Rotated queries, keys and values of `x`, which has been normed.
  func project(
    _ x: Matrix, _ parts: [Part]
  ) -> (query: Matrix, key: Matrix, value: Matrix) {
    var (query, key, value) = weights.attention.projection.forward(x, compute)
    if let geometry = description.attention.rotary?.geometry {
      let headDim = description.attention.headDim
      for part in parts {
        guard let table = part.table else { continue }
        for (row, position) in zip(part.rows, part.positions) {
          table.rotate(&query, row: row, position: position, geometry, headDim)
          table.rotate(&key, row: row, position: position, geometry, headDim)
        }
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

  /// Attention of all parts' queries: [rows, query heads * head_dim].
  func attend(_ calls: [Queries], rows: Int, _ form: ContextForm) -> Matrix {
    let attention = description.attention
    var units: [(call: Int, head: Int, rows: Range<Int>)] = []
    for (index, call) in calls.enumerated() {
      for head in 0..<attention.queryHeads {
        for block in (0..<call.views.count).blocks(of: Self.block) {
          units.append((index, head, block))
        }
      }
    }
    // The longest first: later queries see more keys.
    units.sort { $0.rows.lowerBound > $1.rows.lowerBound }
    let width = attention.queryHeads * attention.headDim
    var result = Matrix(rows: rows, columns: width)
    let all = units
    result.values.withDisjointElements { out in
      compute.concurrently(all.count) { number in
        let unit = all[number]
        let call = calls[unit.call]
        let kvHead = unit.head / attention.group
        let (keys, values) = slices(call.seen, kvHead: kvHead)
        let first = call.part.firstRow + unit.rows.lowerBound
        let queries = HeadSlice(
          call.queries.values, width: width, tokens: first..<first + unit.rows.count,
          columns: columns(unit.head))
        let head = head(unit.head)
        let weights = head.weights(
          queries, keys, call.views[unit.rows], form.middle(layer: index, kvHead: kvHead))
        let output = head.output(weights, values)
        for row in 0..<unit.rows.count {
          let place = (first + row) * width + columns(unit.head).lowerBound
          let from = row * attention.headDim..<(row + 1) * attention.headDim
          _ = unsafe out.part(place..<place + attention.headDim)
            .update(fromContentsOf: output[from])
        }
      }
    }
    return result
  }
}
