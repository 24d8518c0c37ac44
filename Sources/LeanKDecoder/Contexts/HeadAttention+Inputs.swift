extension HeadAttention {
  /// Derivatives of some queries' attention by what it reads.
  struct InputGradients {
    /// By the queries, [queries, head_dim].
    let queries: [Float]
    /// By the keys and values from position `own` on, [their number, head_dim].
    let keys: [Float]
    let values: [Float]
    /// By the factors on the channels of middle keys, [head_dim].
    let factors: [Float]
  }

  /// Derivatives from that by the head's output, [queries, head_dim]. `weights` are normalised, with
  /// slopes, and those of these queries, keys and views; keys before position `own` are constants.
  func inputGradients(
    _ weights: Weights, _ queries: HeadSlice, _ keys: HeadSlice, _ values: HeadSlice,
    _ views: ArraySlice<View>, _ middle: Middle, output: HeadSlice, own: Int
  ) -> InputGradients {
    let scores = scoreGradient(weights, values, output: output)
    let near = sum(scores, weights, keys, views, isMiddle: false)
    var toQueries = sum(scores, weights, keys, views, isMiddle: true)
    let width = keys.rows.width
    let factors = factorGradient(queries, middle: toQueries)
    if case .scaled(let scale) = middle {
      for index in toQueries.indices { toQueries[index] *= scale[index % width] }
    }
    for index in toQueries.indices { toQueries[index] += near[index] }

    let range = max(own, weights.keys.lowerBound)..<max(own, weights.keys.upperBound)
    var toKeys = [Float](repeating: 0, count: range.count * width)
    let parts: [(isMiddle: Bool, queries: HeadSlice)] =
      if case .scaled(let scale) = middle {
        [(false, queries), (true, queries.scaled(by: 1, scale))]
      } else {
        [(false, queries), (true, queries)]
      }
    for part in parts {
      let turned = turn(scores, weights, range, views) { view, key in
        view.middle.contains(key) == part.isMiddle
      }
      let sums = part.queries.weightedSums(turned, rows: range.count)
      for index in sums.indices { toKeys[index] += sums[index] }
    }
    let turned = turn(weights.values, weights, range, views) { _, _ in true }
    // Keys and values from `own` on that no query sees get nothing.
    let before = [Float](repeating: 0, count: (range.lowerBound - own) * width)
    return InputGradients(
      queries: toQueries, keys: before + toKeys,
      values: before + output.weightedSums(turned, rows: range.count), factors: factors)
  }

  /// Sums of the middle keys, or of the others, weighted by each query's `scores`: [queries, head_dim].
  func sum(
    _ scores: [Float], _ weights: Weights, _ keys: HeadSlice, _ views: ArraySlice<View>,
    isMiddle: Bool
  ) -> [Float] {
    let width = weights.keys.count
    var result = [Float](repeating: 0, count: views.count * keys.rows.width)
    for part in parts(views, weights.keys, isMiddle: isMiddle) where !part.isEmpty {
      var taken = [Float](repeating: 0, count: views.count * part.count)
      for (row, view) in views.enumerated() {
        let (from, to) = (
          row * width - weights.keys.lowerBound, row * part.count - part.lowerBound
        )
        let middle = view.middle.clamped(to: part)
        for keys in isMiddle
          ? [middle] : [part.lowerBound..<middle.lowerBound, middle.upperBound..<part.upperBound]
        {
          for key in keys { taken[to + key] = scores[from + key] }
        }
      }
      let sums = keys.tokens(part).weightedSums(taken, rows: views.count)
      for index in sums.indices { result[index] += sums[index] }
    }
    return result
  }

  /// Keys that are middle ones, or others, for some of the queries.
  private func parts(
    _ views: ArraySlice<View>, _ keys: Range<Int>, isMiddle: Bool
  ) -> [Range<Int>] {
    let middles = views.map(\.middle).filter { !$0.isEmpty }
    guard let first = middles.map(\.lowerBound).min(),
      let last = middles.map(\.upperBound).max()
    else { return isMiddle ? [] : [keys] }
    if isMiddle { return [first..<last] }
    // All middles' common part, where each query has one, holds no other keys.
    let common = middles.map(\.lowerBound).max() ?? 0
    let end = middles.map(\.upperBound).min() ?? 0
    guard middles.count == views.count, common < end else { return [keys] }
    return [keys.lowerBound..<common, end..<keys.upperBound]
  }

  /// `scores`, [queries, keys], of the keys of `range`, turned: [range, queries]; 0 where `isTaken` says
  /// no.
  private func turn(
    _ scores: [Float], _ weights: Weights, _ range: Range<Int>, _ views: ArraySlice<View>,
    _ isTaken: (View, _ key: Int) -> Bool
  ) -> [Float] {
    let width = weights.keys.count
    var result = [Float](repeating: 0, count: range.count * views.count)
    for (row, view) in views.enumerated() {
      let first = row * width - weights.keys.lowerBound
      for key in range where isTaken(view, key) {
        result[(key - range.lowerBound) * views.count + row] = scores[first + key]
      }
    }
    return result
  }
}
