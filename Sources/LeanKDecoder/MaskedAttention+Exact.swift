import LeanKMask
import LeanKModel

/// The dense side of an exact run. Projection, cache and the mask's selection are its own as ever;
/// sums are taken in the pruned side's order.
extension MaskedAttention {
  /// One query head over all tokens of the call, one by one: [tokens, head_dim].
  func attendExactly(
    head: Int, query: Matrix, maskedQuery: Matrix?, from position: Int, sink: Float?
  ) -> [Float] {
    let headDim = context.attention.headDim
    let width = context.attention.kvHeads * headDim
    let kvHead = head / context.attention.group
    var result = [Float](repeating: 0, count: query.rows * headDim)
    for row in 0..<query.rows {
      let parts = parts(position: position + row, kvHead: kvHead)
      let count = parts.reduce(0) { $0 + $1.keys.count }
      var scores = [Float](repeating: 0, count: count)
      var column = 0
      for part in parts {
        let source = part.isMasked ? maskedQuery ?? query : query
        let first = row * source.columns + head * headDim
        orderedDots(
          into: &scores, at: column, source.values.span.extracting(first..<first + headDim),
          (part.isMasked ? maskedKeys : keys).span
            .extracting(droppingFirst: part.keys.lowerBound * width + kvHead * headDim),
          .init(part.keys.count, width: headDim, stride: width))
        column += part.keys.count
      }
      let factor = context.attention.exponentiate(&scores, 0..<count, sink: sink)
      column = 0
      for part in parts {
        Kernels.best.addRows(
          into: &result, at: row * headDim, stride: headDim,
          scores.span.extracting(droppingFirst: column), .init(1, width: part.keys.count),
          values.span.extracting(
            droppingFirst: part.keys.lowerBound * width + kvHead * headDim),
          .init(part.keys.count, width: headDim, stride: width))
        column += part.keys.count
      }
      for index in row * headDim..<(row + 1) * headDim { result[index] *= factor }
    }
    return result
  }

  /// The keys that the query at `position` sees, in their order, and through what.
  private func parts(position: Int, kvHead: Int) -> [(keys: Range<Int>, isMasked: Bool)] {
    let visible = context.firstVisible(position: position)..<position + 1
    guard let kept else { return [(visible, false)] }
    guard case .windowed(let window) = context.options.mode else { return [(visible, true)] }
    let end = context.options.middleEnd(
      position: position, promptLength: context.promptLength)
    let middle = window.sink..<max(window.sink, end ?? 0)
    let isAbsent = kept[kvHead].isEmpty && context.options.emptyHeads == .absent
    return [
      (0..<middle.lowerBound, false), (isAbsent ? 0..<0 : middle, true),
      (middle.upperBound..<max(middle.upperBound, position + 1), false),
    ].map { (keys: $0.clamped(to: visible), isMasked: $1) }.filter { !$0.keys.isEmpty }
  }
}
