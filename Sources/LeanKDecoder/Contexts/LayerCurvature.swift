import LeanKModel

/// A sequence's queries as they attend in a layer, and what a change of a channel of middle keys would
/// do to them.
struct LayerCurvature: Sendable {
  private let layer: ContextLayer
  private let call: ContextLayer.Queries
  /// Mean square of the residual stream's elements that enter the layer.
  private let input: Double
  /// The output projection, [hidden, query heads * head_dim].
  private let output: [Float]

  init(_ layer: ContextLayer, _ stream: Matrix, _ call: ContextLayer.Queries) {
    self.layer = layer
    self.call = call
    input =
      stream.values.reduce(0.0) { $0 + Double($1) * Double($1) }
      / Double(max(1, stream.values.count))
    output = layer.weights.attention.output.widenedWeight()
  }

  private var attention: AttentionDescription { layer.description.attention }
  private var hidden: Int { layer.weights.attention.output.outputs }

  /// Columns of a KV head's query heads.
  private func groupColumns(_ kvHead: Int) -> Range<Int> {
    let width = attention.group * attention.headDim
    return kvHead * width..<(kvHead + 1) * width
  }

  /// Rows of the output projection's part that reads a KV head's query heads.
  private func projection(_ kvHead: Int) -> HeadSlice {
    HeadSlice(
      output, width: attention.queryHeads * attention.headDim, tokens: 0..<hidden,
      columns: groupColumns(kvHead))
  }

  private func queries(head: Int) -> HeadSlice {
    layer.slice(call, head: head, rows: 0..<call.views.count)
  }

  // MARK: - Scores

  /// Scores by KV head and channel; the sequence's `number` chooses its random directions.
  func scores(number: Int, draws: Int, seed: UInt64) -> [[Double]] {
    let signs = SignGenerator(seed: seed, sequence: number, layer: layer.index)
    return layer.compute.concurrentMap(attention.kvHeads) {
      score(kvHead: $0, draws: draws, signs)
    }
  }

  private func score(kvHead: Int, draws: Int, _ signs: SignGenerator) -> [Double] {
    let rows = call.views.count
    let (keys, values) = layer.slices(call.seen, kvHead: kvHead)
    let width = groupColumns(kvHead).count
    // Random directions of the layer's output, carried back to the heads' outputs.
    var signs = signs
    let directions = signs.next(count: draws * rows * hidden)
    let outputs = projection(kvHead).weightedSums(directions, rows: draws * rows)
    var gradients = [[Float]](
      repeating: .init(repeating: 0, count: attention.headDim), count: draws)
    for (place, head) in (kvHead * attention.group..<(kvHead + 1) * attention.group).enumerated() {
      let queries = queries(head: head)
      let operation = layer.head(head)
      let weights = operation.weights(queries, keys, call.views[...], .whole, slopes: true)
        .normalised()
      for draw in 0..<draws {
        let output = HeadSlice(
          outputs, width: width, tokens: draw * rows..<(draw + 1) * rows,
          columns: place * attention.headDim..<(place + 1) * attention.headDim)
        let gradient = operation.factorGradient(
          operation.scoreGradient(weights, values, output: output), weights, queries, keys,
          call.views[...])
        for channel in gradient.indices { gradients[draw][channel] += gradient[channel] }
      }
    }
    // The mean over directions, beside the mean square of as many elements.
    let scale = 1 / (Double(draws) * Double(rows) * Double(hidden) * max(input, 1e-30))
    return (0..<attention.headDim).map { channel in
      gradients.reduce(0.0) { $0 + Double($1[channel]) * Double($1[channel]) } * scale
    }
  }

  // MARK: - Errors

  /// Errors by KV head and number of blocks kept, over `sequences`, which have one layer.
  static func errors(
    _ sequences: [LayerCurvature], order: [[Int]], unit: Int, isStatic: Bool
  ) -> [[Double]] {
    guard let first = sequences.first else { return [] }
    let heads = first.attention.kvHeads
    let levels = (first.attention.headDim + unit - 1) / unit
    let found = first.layer.compute.concurrentMap(sequences.count * heads) { index in
      sequences[index / heads].errors(
        kvHead: index % heads,
        kept: (0..<levels).map { order[index % heads].prefix($0 * unit) }, isStatic: isStatic)
    }
    var sums = [[Double]](repeating: .init(repeating: 0, count: levels), count: heads)
    for (index, errors) in found.enumerated() {
      for level in 0..<levels { sums[index % heads][level] += errors[level] }
    }
    return sums.map { $0.map { $0 / Double(sequences.count) } }
  }

  /// Errors of one KV head for each set of kept channels.
  private func errors(
    kvHead: Int, kept: [ArraySlice<Int>], isStatic: Bool
  ) -> [Double] {
    let whole = outputs(kvHead: kvHead, .whole)
    let rows = call.views.count
    let width = groupColumns(kvHead).count
    return kept.map { kept in
      var factors = [Float](repeating: 0, count: attention.headDim)
      for channel in kept { factors[channel] = 1 }
      var difference = outputs(
        kvHead: kvHead, kept.isEmpty && !isStatic ? .absent : .scaled(factors))
      for element in difference.indices { difference[element] -= whole[element] }
      let slice = HeadSlice(difference, width: width, tokens: 0..<rows, columns: 0..<width)
      var moved = [Float](repeating: 0, count: rows * hidden)
      slice.products(with: projection(kvHead), into: &moved, stride: hidden)
      let square = moved.reduce(0.0) { $0 + Double($1) * Double($1) }
      return square / (Double(rows * hidden) * max(input, 1e-30))
    }
  }

  /// Outputs of a KV head's query heads side by side, [queries, group * head_dim].
  private func outputs(kvHead: Int, _ middle: HeadAttention.Middle) -> [Float] {
    let (keys, values) = layer.slices(call.seen, kvHead: kvHead)
    let parts = (kvHead * attention.group..<(kvHead + 1) * attention.group).map { head in
      let operation = layer.head(head)
      return operation.output(
        operation.weights(queries(head: head), keys, call.views[...], middle), values)
    }
    return Matrix(
      columnBlocks: parts, rows: call.views.count, columns: groupColumns(kvHead).count
    ).values
  }
}
