import LeanKModel
import RealModule

/// The reference in ascending order. Projection, keys and the question of near or middle are its own as
/// ever; only the order of its sums is what the cache's would be.
extension ReferenceAttention {
  /// Queries whose scores are computed together.
  private static let queries = 32

  /// One query head over all tokens of the call: [tokens, head_dim].
  func attendAscending(head: Int, _ call: Call) -> [Float] {
    let headDim = attention.headDim
    let width = attention.kvHeads * headDim
    let kvHead = head / attention.group
    var result = [Float](repeating: 0, count: call.query.rows * headDim)
    var row = 0
    while row < call.query.rows {
      let end = row < call.pass.prompt ? min(row + Self.queries, call.pass.prompt) : row + 1
      let first = attention.firstVisible(position: call.pass.first + row)
      let present = Kernels.Rows(
        call.pass.first + end - first, width: headDim, stride: width)
      let offset = first * width + kvHead * headDim
      func scores(_ queries: Matrix, _ keys: [Float]) -> [Float] {
        // The scale goes into the query, as it does where keys are cached.
        var scaled: [Float] = []
        for row in row..<end {
          scaled += queries.row(row)[relative: head * headDim..<(head + 1) * headDim]
            .map { $0 * attention.scale }
        }
        var result = [Float](repeating: 0, count: (end - row) * present.count)
        call.kernels.orderedDots(
          into: &result, scaled.span, .init(end - row, width: headDim),
          keys.span.extracting(droppingFirst: offset), present)
        return result
      }
      let whole = isStatic ? [] : scores(call.query, keys)
      let scaled = call.scaledQuery.map { scores($0, scaledKeys) } ?? []
      for index in 0..<end - row {
        attendAscending(
          row: row + index, head: head, whole: whole, scaled: scaled,
          from: index * present.count, firstKey: first, into: &result, call)
      }
      row = end
    }
    return result
  }

  /// One query, whose scores begin at `start` of `whole` and of `scaled` with key `firstKey`.
  private func attendAscending(
    row: Int, head: Int, whole: [Float], scaled: [Float], from start: Int, firstKey: Int,
    into result: inout [Float], _ call: Call
  ) {
    let headDim = attention.headDim
    let width = attention.kvHeads * headDim
    let kvHead = head / attention.group
    let position = call.pass.first + row
    let isAbsent = !isStatic && keyScale.isAbsent(kvHead: kvHead, policy.emptyHeads)
    var weights: [Float] = []
    /// Runs of visible keys, in ascending order, and their number.
    var runs: [Range<Int>] = []
    for key in attention.firstVisible(position: position)...position {
      let isMiddle = isMiddle(key: key, row: row, call.pass)
      guard !(isMiddle && isAbsent) else { continue }
      weights.append((isMiddle ? scaled : whole)[start + key - firstKey])
      if let last = runs.last, last.upperBound == key {
        runs[runs.count - 1] = last.lowerBound..<key + 1
      } else {
        runs.append(key..<key + 1)
      }
    }
    let sink = call.sinkLogits?[head]
    let factor = weights.exponentiate(
      cap: attention.scoreSoftcap, sinkLogit: sink, call.kernels)
    var column = 0
    for run in runs {
      call.kernels.addRows(
        into: &result, at: row * headDim, stride: headDim,
        weights.span.extracting(droppingFirst: column), .init(1, width: run.count),
        values.span.extracting(droppingFirst: run.lowerBound * width + kvHead * headDim),
        .init(run.count, width: headDim, stride: width))
      column += run.count
    }
    for index in row * headDim..<(row + 1) * headDim { result[index] *= factor }
  }
}

extension [Float] {
  /// Caps one query's scaled scores and replaces them by exponentials; returns the reciprocal of their
  /// sum, that of a further logit included.
  fileprivate mutating func exponentiate(
    cap: Float?, sinkLogit: Float?, _ kernels: Kernels
  ) -> Float {
    var largest = sinkLogit ?? -.infinity
    for index in indices {
      if let cap { self[index] = Float.tanh(self[index] / cap) * cap }
      largest = Swift.max(largest, self[index])
    }
    let sum = kernels.exponentials(&self, indices, shift: largest)
    return 1 / (sum + (sinkLogit.map { Float.exp($0 - largest) } ?? 0))
  }
}

extension ArraySlice {
  /// Elements counted from the slice's first.
  fileprivate subscript(relative range: Range<Int>) -> ArraySlice {
    self[startIndex + range.lowerBound..<startIndex + range.upperBound]
  }
}
