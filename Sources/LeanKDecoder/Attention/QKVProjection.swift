import LeanKModel

/// Queries, keys and values of a layer's tokens before rotation: bias added, QK-norm done. Both forms
/// of attention begin here; from rotation on each has its own code.
struct QKVProjection: Sendable {
  let query: Linear
  let key: Linear
  let value: Linear
  /// Where the heads lie in the columns of `query` and `key`.
  let queryColumns: HeadColumns
  let keyColumns: HeadColumns
  let queryNorm: HeadNorm?
  let keyNorm: HeadNorm?

  /// `x` [tokens, hidden] -> [tokens, rows of Q], [tokens, rows of K], [tokens, rows of V].
  func forward(
    _ x: Matrix, _ compute: ComputeContext
  ) -> (query: Matrix, key: Matrix, value: Matrix) {
    // Taken out of the array, for one that is shared would be copied before it is changed.
    var results = Linear.forward(x, through: [query, key, value], compute)
    let values = results.removeLast()
    var keys = results.removeLast()
    var queries = results.removeLast()
    queryNorm?.apply(to: &queries, compute)
    keyNorm?.apply(to: &keys, compute)
    return (queries, keys, values)
  }
}

/// Where the heads of a projection lie in its columns, and how wide they are in a dense checkpoint.
struct HeadColumns: Sendable {
  let heads: [Range<Int>]
  let headDim: Int

  init(_ rows: HeadRows, headDim: Int) {
    var heads: [Range<Int>] = []
    for range in rows.heads {
      let first = heads.last?.upperBound ?? 0
      heads.append(first..<first + range.count)
    }
    self.heads = heads
    self.headDim = headDim
  }

  /// Whether each head is there whole, or, unless `all`, not at all.
  func areWhole(all: Bool) -> Bool {
    heads.allSatisfy { $0.count == headDim || (!all && $0.isEmpty) }
  }
}
