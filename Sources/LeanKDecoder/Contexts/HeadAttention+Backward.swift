extension HeadAttention {
  /// Derivative by the products of queries and keys, [queries, keys]: scale, cap and softmax lie behind
  /// it. `output` is the derivative by the head's output, [queries, head_dim]; `weights` are
  /// normalised and have slopes.
  func scoreGradient(_ weights: Weights, _ values: HeadSlice, output: HeadSlice) -> [Float] {
    let width = weights.keys.count
    var result = [Float](repeating: 0, count: weights.values.count)
    output.products(with: values.tokens(weights.keys), into: &result, stride: width)
    for row in weights.sums.indices {
      let range = row * width..<(row + 1) * width
      var mean: Float = 0
      for index in range { mean += weights.values[index] * result[index] }
      for index in range {
        result[index] = weights.values[index] * (result[index] - mean) * scale
      }
    }
    if let slope = weights.capSlope {
      for index in result.indices { result[index] *= slope[index] }
    }
    return result
  }

  /// Derivative by a factor on each channel of middle keys, where all factors are 1: [head_dim].
  /// `scores` is what `scoreGradient` gives; what is outside the middle is not used.
  func factorGradient(
    _ scores: [Float], _ weights: Weights, _ queries: HeadSlice, _ keys: HeadSlice,
    _ views: ArraySlice<View>
  ) -> [Float] {
    factorGradient(queries, middle: sum(scores, weights, keys, views, isMiddle: true))
  }

  /// The same from the middle keys weighted by each query's `scores`, [queries, head_dim].
  func factorGradient(_ queries: HeadSlice, middle: [Float]) -> [Float] {
    let width = queries.rows.width
    var result = [Float](repeating: 0, count: width)
    for row in 0..<queries.rows.count {
      for channel in 0..<width {
        result[channel] += queries[row, channel] * middle[row * width + channel]
      }
    }
    return result
  }
}
