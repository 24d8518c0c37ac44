import LeanKModel

/// A layer's queries as they attend, and what a change of a channel of middle keys would do to them.
struct LayerCurvature: Sendable {
  private let layer: ContextLayer
  private let calls: [ContextLayer.Queries]
  /// Mean square of the residual stream's elements that enter the layer, by sequence.
  private let inputs: [Double]
  /// The output projection, [hidden, query heads * head_dim].
  private let output: [Float]

  init(_ layer: ContextLayer, _ stream: Matrix, _ calls: [ContextLayer.Queries]) {
    self.layer = layer
    self.calls = calls
    inputs = calls.map { call in
      let rows = stream.rows(call.part.rows)
      return rows.values.reduce(0.0) { $0 + Double($1) * Double($1) }
        / Double(max(1, rows.values.count))
    }
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

  private func queries(_ call: ContextLayer.Queries, head: Int) -> HeadSlice {
    HeadSlice(
      call.queries.values, width: attention.queryHeads * attention.headDim, tokens: call.part.rows,
      columns: layer.columns(head))
  }

  // MARK: - Scores

  /// Scores of each sequence, by KV head and channel.
  func scores(numbers: [Int], draws: Int, seed: UInt64) -> [[[Double]]] {
    let heads = attention.kvHeads
    let all = layer.compute.concurrentMap(calls.count * heads) { unit in
      score(
        call: unit / heads, kvHead: unit % heads, draws: draws,
        SignGenerator(seed: seed, sequence: numbers[unit / heads], layer: layer.index))
    }
    return calls.indices.map { Array(all[$0 * heads..<($0 + 1) * heads]) }
  }

  private func score(
    call index: Int, kvHead: Int, draws: Int, _ signs: SignGenerator
  ) -> [Double] {
    let call = calls[index]
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
      let queries = queries(call, head: head)
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
    let scale = 1 / (Double(draws) * Double(rows) * Double(hidden) * max(inputs[index], 1e-30))
    return (0..<attention.headDim).map { channel in
      gradients.reduce(0.0) { $0 + Double($1[channel]) * Double($1[channel]) } * scale
    }
  }

  // MARK: - Errors

  /// Errors by KV head and number of blocks kept, over the sequences of `parts`, which make up a layer.
  static func errors(
    _ parts: [LayerCurvature], order: [[Int]], unit: Int, isStatic: Bool
  ) -> [[Double]] {
    guard let first = parts.first else { return [] }
    let heads = first.attention.kvHeads
    let levels = (first.attention.headDim + unit - 1) / unit
    let units = parts.indices.flatMap { part in
      parts[part].calls.indices.flatMap { call in
        (0..<heads).map { (part: part, call: call, head: $0) }
      }
    }
    let found = first.layer.compute.concurrentMap(units.count) { index in
      let (part, call, head) = units[index]
      return parts[part].errors(
        call: call, kvHead: head,
        kept: (0..<levels).map { order[head].prefix($0 * unit) }, isStatic: isStatic)
    }
    var sums = [[Double]](repeating: .init(repeating: 0, count: levels), count: heads)
    for (unit, errors) in zip(units, found) {
      for level in 0..<levels { sums[unit.head][level] += errors[level] }
    }
    let sequences = Double(max(1, units.count / max(1, heads)))
    return sums.map { $0.map { $0 / sequences } }
  }

  /// Errors of one sequence and KV head for each set of kept channels.
  private func errors(
    call index: Int, kvHead: Int, kept: [ArraySlice<Int>], isStatic: Bool
  ) -> [Double] {
    let whole = outputs(call: index, kvHead: kvHead, .whole)
    let rows = calls[index].views.count
    let width = groupColumns(kvHead).count
    return kept.map { kept in
      var factors = [Float](repeating: 0, count: attention.headDim)
      for channel in kept { factors[channel] = 1 }
      var difference = outputs(
        call: index, kvHead: kvHead, kept.isEmpty && !isStatic ? .absent : .scaled(factors))
      for element in difference.indices { difference[element] -= whole[element] }
      let slice = HeadSlice(difference, width: width, tokens: 0..<rows, columns: 0..<width)
      var moved = [Float](repeating: 0, count: rows * hidden)
      slice.products(with: projection(kvHead), into: &moved, stride: hidden)
      let square = moved.reduce(0.0) { $0 + Double($1) * Double($1) }
      return square / (Double(rows * hidden) * max(inputs[index], 1e-30))
    }
  }

  /// Outputs of a KV head's query heads side by side, [queries, group * head_dim].
  private func outputs(
    call index: Int, kvHead: Int, _ middle: HeadAttention.Middle
  ) -> [Float] {
    let call = calls[index]
    let (keys, values) = layer.slices(call.seen, kvHead: kvHead)
    let parts = (kvHead * attention.group..<(kvHead + 1) * attention.group).map { head in
      let operation = layer.head(head)
      return operation.output(
        operation.weights(queries(call, head: head), keys, call.views[...], middle), values)
    }
    return Matrix(
      columnBlocks: parts, rows: call.views.count, columns: groupColumns(kvHead).count
    ).values
  }
}

/// Random signs, the same for a seed, sequence and layer.
struct SignGenerator: Sendable {
  private var state: UInt64

  init(seed: UInt64, sequence: Int, layer: Int) {
    state = seed
    for part in [UInt64(sequence), UInt64(layer)] {
      state = Self.mixed(state &+ 0x9E37_79B9_7F4A_7C15) ^ Self.mixed(part &+ 1)
    }
  }

  /// `count` elements of 1 or -1.
  mutating func next(count: Int) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(count)
    while result.count < count {
      state &+= 0x9E37_79B9_7F4A_7C15
      var bits = Self.mixed(state)
      for _ in 0..<min(64, count - result.count) {
        result.append(bits & 1 == 0 ? 1 : -1)
        bits >>= 1
      }
    }
    return result
  }

  /// The finaliser of SplitMix64.
  private static func mixed(_ x: UInt64) -> UInt64 {
    var x = x
    x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
    return x ^ x >> 31
  }
}
