import ByteIO
import LeanKModel

extension ContextLayer {
  /// What several derivatives at once of one sequence come to in this layer.
  struct Gradients {
    /// By the residual stream that enters the layer, [copies * rows, hidden].
    let input: Matrix
    /// By the factors on middle keys, summed over the queries: by copy, [KV heads * head_dim].
    let factors: [[Float]]
  }

  /// The layer's forward pass over its queries again, now with a record. `call` is that of the first
  /// time.
  func record(
    _ stream: Matrix, _ call: Queries, _ form: ContextForm
  ) throws(DecoderError) -> (output: Matrix, record: LayerRecord) {
    var record: LayerRecord? = LayerRecord()
    let output = try weights.block.forward(
      stream, weights.feedForward, compute, record: &record
    ) { _ throws(DecoderError) in
      weights.attention.output.forward(attend(call, form), compute)
    }.hidden
    return (output, record ?? LayerRecord())
  }

  /// From the derivatives by the stream that leaves the layer, one below the other, [copies * rows,
  /// hidden].
  func backward(
    _ gradient: Matrix, _ call: Queries, _ form: ContextForm, _ record: LayerRecord
  ) throws(DecoderError) -> Gradients {
    let input = record.kept(\.attentionInput)
    let copies = gradient.rows / max(1, input.rows)
    var factors: [[Float]] = []
    let result = try weights.block.backward(
      gradient, weights.feedForward, record, compute
    ) { gradient throws(DecoderError) in
      var found = attendBackward(
        weights.attention.output.backward(gradient, compute), call, form, copies: copies)
      factors = found.factors
      rotateBack(&found.query, call)
      rotateBack(&found.key, call)
      return weights.attention.projection.backward(
        query: found.query, key: found.key, value: found.value, input: input, compute)
    }
    return Gradients(input: result, factors: factors)
  }

  private func rotateBack(_ gradient: inout Matrix, _ call: Queries) {
    guard let table = call.table, let geometry = description.attention.rotary?.geometry else {
      return
    }
    for row in 0..<gradient.rows {
      table.rotateBack(
        &gradient, row: row, position: call.positions.lowerBound + row % call.positions.count,
        geometry, description.attention.headDim)
    }
  }

  // MARK: - Attention

  /// Derivatives by rotated queries, keys and values of the queries' own tokens, [copies * rows, heads
  /// side by side], and by the factors.
  private struct AttentionGradients {
    var query: Matrix
    var key: Matrix
    var value: Matrix
    var factors: [[Float]]
  }

  /// `gradient`: by attention before the output projection, [copies * rows, query heads * head_dim].
  private func attendBackward(
    _ gradient: Matrix, _ call: Queries, _ form: ContextForm, copies: Int
  ) -> AttentionGradients {
    let attention = description.attention
    let kvWidth = attention.kvHeads * attention.headDim
    var result = AttentionGradients(
      query: Matrix(rows: gradient.rows, columns: gradient.columns),
      key: Matrix(rows: gradient.rows, columns: kvWidth),
      value: Matrix(rows: gradient.rows, columns: kvWidth), factors: [])
    var factors: [[[Float]]] = []
    result.query.values.withDisjointElements { query in
      result.key.values.withDisjointElements { key in
        result.value.values.withDisjointElements { value in
          factors = compute.concurrentMap(attention.kvHeads) { kvHead in
            let unit = HeadUnit(
              layer: self, call: call, kvHead: kvHead,
              middle: form.middle(layer: index, kvHead: kvHead))
            return unit.backward(
              gradient, copies: copies, toQuery: query, toKey: key, toValue: value)
          }
        }
      }
    }
    result.factors = (0..<copies).map { copy in factors.flatMap { $0[copy] } }
    return result
  }
}

/// One KV head, and the query heads that share it: one thread's work.
private struct HeadUnit {
  let layer: ContextLayer
  let call: ContextLayer.Queries
  let kvHead: Int
  let middle: HeadAttention.Middle

  /// Queries that meet their keys at once.
  private static let block = 64

  /// Writes this head's columns; returns the derivatives by its factors, by copy.
  func backward(
    _ gradient: Matrix, copies: Int, toQuery: DisjointElements<Float>,
    toKey: DisjointElements<Float>, toValue: DisjointElements<Float>
  ) -> [[Float]] {
    let attention = layer.description.attention
    let headDim = attention.headDim
    let width = attention.queryHeads * headDim
    let kvWidth = attention.kvHeads * headDim
    let (rows, own) = (call.positions.count, call.positions.lowerBound)
    let (keys, values) = layer.slices(call.seen, kvHead: kvHead)
    var factors = [[Float]](
      repeating: [Float](repeating: 0, count: headDim), count: copies)
    for number in kvHead * attention.group..<(kvHead + 1) * attention.group {
      let head = layer.head(number)
      for block in (0..<call.views.count).blocks(of: Self.block) {
        let views = call.views[block]
        let queries = layer.slice(call, head: number, rows: block)
        let weights = head.weights(queries, keys, views, middle, slopes: true).normalised()
        for copy in 0..<copies {
          let start = copy * rows + block.lowerBound
          let found = head.inputGradients(
            weights, queries, keys, values, views, middle,
            output: HeadSlice(
              gradient.values, width: width, tokens: start..<start + block.count,
              columns: layer.columns(number)), own: own)
          add(found.queries, to: toQuery, row: start, width: width, head: number)
          add(found.keys, to: toKey, row: copy * rows, width: kvWidth, head: kvHead)
          add(found.values, to: toValue, row: copy * rows, width: kvWidth, head: kvHead)
          for channel in 0..<headDim { factors[copy][channel] += found.factors[channel] }
        }
      }
    }
    return factors
  }

  /// Adds [rows, head_dim] to a head's columns of the rows from `row` on.
  private func add(
    _ part: [Float], to elements: DisjointElements<Float>, row: Int, width: Int, head: Int
  ) {
    let headDim = layer.description.attention.headDim
    for index in 0..<part.count / max(1, headDim) {
      let place = (row + index) * width + layer.columns(head).lowerBound
      elements.withElements(place..<place + headDim) { values in
        for channel in 0..<headDim { values[channel] += part[index * headDim + channel] }
      }
    }
  }
}
