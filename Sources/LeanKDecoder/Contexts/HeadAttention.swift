import RealModule

/// Attention of one query head over whole keys: scores, softmax, weighted values. Its derivatives are in
/// `HeadAttention+Backward`. Remembers nothing.
struct HeadAttention: Sendable {
  /// Multiplies the scores.
  let scale: Float
  /// `cap * tanh(score / cap)` on the scores.
  let softcap: Float?
  /// A further logit of the softmax that has no value.
  let sinkLogit: Float?
  let kernels: Kernels

  /// Which keys a query sees, by position.
  struct View: Sendable, Hashable {
    let visible: Range<Int>
    /// Those of the visible keys that are seen through the scale; the others are whole.
    let middle: Range<Int>
  }

  /// How middle keys are seen.
  enum Middle: Sendable, Hashable {
    case whole
    /// A factor on each channel of the key, [head_dim].
    case scaled([Float])
    /// Neither key nor value is there.
    case absent
  }

  /// What queries weigh keys with.
  struct Weights: Sendable {
    /// Positions of the keys that some query sees.
    let keys: Range<Int>
    /// exp(score - largest score) of each query and key, [queries, keys]; 0 where a key is not seen.
    var values: [Float]
    /// What each row of `values` has to be divided by to sum up to 1, the sink logit included.
    private(set) var sums: [Float]
    /// Derivative of the capped score by the score, [queries, keys], where there is a cap.
    let capSlope: [Float]?

    /// The same with sums of 1: `values` are probabilities.
    func normalised() -> Weights {
      var result = self
      let width = keys.count
      for (row, sum) in sums.enumerated() where sum > 0 {
        let factor = 1 / sum
        for index in row * width..<(row + 1) * width { result.values[index] *= factor }
        result.sums[row] = 1
      }
      return result
    }
  }

  /// Weights of `queries` for `keys`, whose first has position 0; one view a query. `slopes`: whether
  /// a derivative will be asked for.
  func weights(
    _ queries: HeadSlice, _ keys: HeadSlice, _ views: ArraySlice<View>, _ middle: Middle,
    slopes: Bool = false
  ) -> Weights {
    let first = views.map(\.visible.lowerBound).min() ?? 0
    let range = first..<max(first, views.map(\.visible.upperBound).max() ?? 0)
    var scores = self.scores(queries, keys, views, middle, range)
    var slope = slopes && softcap != nil ? [Float](repeating: 0, count: scores.count) : nil
    var sums: [Float] = []
    for (row, view) in views.enumerated() {
      let start = row * range.count - range.lowerBound
      let visible = start + view.visible.lowerBound..<start + view.visible.upperBound
      if let softcap { cap(&scores, visible, softcap, slope: &slope) }
      if middle == .absent {
        for key in view.middle { scores[start + key] = -.infinity }
      }
      var largest = kernels.largest(scores, visible)
      if let sinkLogit { largest = max(largest, sinkLogit) }
      // A query that sees nothing, not even a sink logit, weighs nothing.
      let shift = largest == -.infinity ? 0 : largest
      let sum = kernels.exponentials(&scores, visible, shift: shift)
      sums.append(sum + (sinkLogit.map { Float.exp($0 - shift) } ?? 0))
      for index in row * range.count..<visible.lowerBound { scores[index] = 0 }
      for index in visible.upperBound..<(row + 1) * range.count { scores[index] = 0 }
    }
    return Weights(keys: range, values: scores, sums: sums, capSlope: slope)
  }

  /// Weighted values of each query, [queries, head_dim].
  func output(_ weights: Weights, _ values: HeadSlice) -> [Float] {
    let width = values.rows.width
    var result = values.tokens(weights.keys)
      .weightedSums(weights.values, rows: weights.sums.count)
    for (row, sum) in weights.sums.enumerated() where sum > 0 {
      let factor = 1 / sum
      for index in row * width..<(row + 1) * width { result[index] *= factor }
    }
    return result
  }

  // MARK: - Scores

  /// Scaled scores of the keys of `range`, [queries, range]; what is not visible may be anything.
  private func scores(
    _ queries: HeadSlice, _ keys: HeadSlice, _ views: ArraySlice<View>, _ middle: Middle,
    _ range: Range<Int>
  ) -> [Float] {
    let width = range.count
    var result = [Float](repeating: 0, count: queries.rows.count * width)
    func multiply(_ queries: HeadSlice, _ part: Range<Int>, into out: inout [Float]) {
      guard !part.isEmpty else { return }
      queries.products(
        with: keys.tokens(part), into: &out, at: part.lowerBound - range.lowerBound, stride: width)
    }
    let whole = queries.scaled(by: scale)
    let first = views.map(\.middle.lowerBound).min() ?? 0
    let last = views.map(\.middle.upperBound).max() ?? 0
    guard middle != .whole, first < last else {
      multiply(whole, range, into: &result)
      return result
    }
    // Whole keys before the middle, and behind where it ends for the query that sees least of it.
    let end = max(first, views.map(\.middle.upperBound).min() ?? 0)
    multiply(whole, range.lowerBound..<max(range.lowerBound, first), into: &result)
    multiply(whole, min(end, range.upperBound)..<range.upperBound, into: &result)
    guard case .scaled(let factors) = middle else { return result }
    var seen = [Float](repeating: 0, count: result.count)
    multiply(queries.scaled(by: scale, factors), first..<last, into: &seen)
    for (row, view) in views.enumerated() {
      let start = row * width - range.lowerBound
      let part = start + view.middle.lowerBound..<start + view.middle.upperBound
      for index in part { result[index] = seen[index] }
    }
    return result
  }

  private func cap(
    _ scores: inout [Float], _ range: Range<Int>, _ cap: Float, slope: inout [Float]?
  ) {
    for index in range {
      let tangent = Float.tanh(scores[index] / cap)
      scores[index] = tangent * cap
      slope?[index] = 1 - tangent * tangent
    }
  }
}
