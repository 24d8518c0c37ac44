import ByteIO
import LeanKModel

/// The normalisation of queries, or of keys, between projection and rotation.
struct HeadNorm: Sendable {
  enum Side { case query, key }

  enum Form: Sendable {
    /// Each head by itself, one weight for all or one after the other.
    case perHead(Norm, isShared: Bool)
    case listPerHead([Norm])
    case acrossHeads(Norm)
  }

  let form: Form
  let columns: HeadColumns

  /// nil where nothing is normed.
  ///
  /// Statistics run over all channels: fails with `.prunedRows` when a head has only some of them,
  /// or, where they run over all heads, when one has none.
  init?(
    _ description: QueryKeyNorm?, _ side: Side, _ columns: HeadColumns, _ reader: WeightReader
  ) throws(DecoderError) {
    guard let description else { return nil }
    guard columns.areWhole(all: !description.isPerHead) else {
      throw DecoderError(
        .prunedRows, "QK-norm needs all rows of Q and K, use the checkpoint's cache layout")
    }
    self.columns = columns
    let isQuery = side == .query
    let headDim = columns.headDim
    let all = columns.heads.count * headDim
    switch description {
    case .sharedPerHead(let query, let key):
      form = .perHead(
        try Norm(isQuery ? query : key, count: headDim, reader), isShared: true)
    case .ownPerHead(let query, let key):
      form = .perHead(try Norm(isQuery ? query : key, count: all, reader), isShared: false)
    case .listPerHead(let query, let key):
      let list = isQuery ? query : key
      guard list.count == columns.heads.count else {
        throw DecoderError(.geometry, "\(list.count) norms for \(columns.heads.count) heads")
      }
      form = .listPerHead(
        try list.map { norm throws(DecoderError) in try Norm(norm, count: headDim, reader) })
    case .acrossHeads(let query, let key):
      form = .acrossHeads(try Norm(isQuery ? query : key, count: all, reader))
    }
  }

  /// Rows that one thread takes at a time.
  private static let block = 64

  /// Normalises queries or keys, [tokens, heads side by side].
  func apply(to x: inout Matrix, _ compute: ComputeContext) {
    let width = x.columns
    let blocks = (0..<x.rows).blocks(of: Self.block)
    x.values.withDisjointElements { elements in
      compute.concurrently(blocks.count) { index in
        for row in blocks[index] { apply(to: elements, row * width..<(row + 1) * width) }
      }
    }
  }

  private func apply(to elements: DisjointElements<Float>, _ row: Range<Int>) {
    if case .acrossHeads(let norm) = form {
      elements.withElements(row) { norm.apply(&$0) }
      return
    }
    for (head, range) in columns.heads.enumerated() where !range.isEmpty {
      let place = row.lowerBound + range.lowerBound..<row.lowerBound + range.upperBound
      elements.withElements(place) { values in
        switch form {
        case .perHead(let norm, let isShared):
          norm.apply(&values, weightFrom: isShared ? 0 : head * columns.headDim)
        case .listPerHead(let norms): norms[head].apply(&values)
        case .acrossHeads: break
        }
      }
    }
  }
}
