import ByteIO
import LeanKModel

/// A normalisation with its weights at hand.
struct Normalization {
  let kind: NormDescription.Kind
  let epsilon: Float
  /// Stored weight plus the description's offset.
  let weight: [Float]
  let bias: [Float]?

  init(
    _ description: NormDescription, count: Int, weights: WeightStore
  ) throws(DecoderError) {
    kind = description.kind
    epsilon = description.epsilon
    var weight = try weights.vector(description.weight, count: count)
    if description.weightOffset != 0 {
      for index in weight.indices { weight[index] += description.weightOffset }
    }
    self.weight = weight
    bias = if let name = description.bias { try weights.vector(name, count: count) } else { nil }
  }

  /// Normalises `values[range]`, with this weight from element `first` on.
  func apply(_ values: inout [Float], _ range: Range<Int>, weightFrom first: Int = 0) {
    let count = Float(range.count)
    guard count > 0 else { return }
    var mean: Float = 0
    if kind == .layer {
      var sum: Double = 0
      for index in range { sum += Double(values[index]) }
      mean = Float(sum) / count
    }
    var squares: Double = 0
    for index in range {
      let centred = Double(values[index] - mean)
      squares += centred * centred
    }
    let factor = 1 / (Float(squares) / count + epsilon).squareRoot()
    var element = first
    for index in range {
      values[index] = (values[index] - mean) * factor * weight[element]
      if let bias { values[index] += bias[element] }
      element += 1
    }
  }

  /// Normalises every row.
  func apply(_ x: inout Matrix) {
    for row in 0..<x.rows { apply(&x.values, row * x.columns..<(row + 1) * x.columns) }
  }
}

/// Where the heads of a projection lie in its columns, and how wide they are in a dense checkpoint.
struct HeadColumns {
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

extension QueryKeyNorm {
  enum Side { case query, key }

  /// Normalises queries or keys, [tokens, heads side by side].
  ///
  /// Statistics run over all channels: fails with `.prunedRows` when a head has only some of them,
  /// or, where they run over all heads, when one has none.
  func apply(
    to x: inout Matrix, _ side: Side, _ columns: HeadColumns, weights: WeightStore
  ) throws(DecoderError) {
    let isQuery = side == .query
    let headDim = columns.headDim
    var crossesHeads = false
    if case .acrossHeads = self { crossesHeads = true }
    guard columns.areWhole(all: crossesHeads) else {
      throw DecoderError(
        .prunedRows, "QK-norm needs all rows of Q and K, use the checkpoint's cache layout")
    }
    switch self {
    case .sharedPerHead(let query, let key):
      let norm = try Normalization(isQuery ? query : key, count: headDim, weights: weights)
      Self.eachHead(&x, columns) { values, range, _ in norm.apply(&values, range) }
    case .ownPerHead(let query, let key):
      let count = columns.heads.count * headDim
      let norm = try Normalization(isQuery ? query : key, count: count, weights: weights)
      Self.eachHead(&x, columns) {
        norm.apply(&$0, $1, weightFrom: $2 * headDim)
      }
    case .listPerHead(let query, let key):
      let list = isQuery ? query : key
      guard list.count == columns.heads.count else {
        throw DecoderError(.geometry, "\(list.count) norms for \(columns.heads.count) heads")
      }
      var norms: [Normalization] = []
      for norm in list { norms.append(try Normalization(norm, count: headDim, weights: weights)) }
      Self.eachHead(&x, columns) { norms[$2].apply(&$0, $1) }
    case .acrossHeads(let query, let key):
      let count = columns.heads.count * headDim
      let norm = try Normalization(isQuery ? query : key, count: count, weights: weights)
      norm.apply(&x)
    }
  }

  private static func eachHead(
    _ x: inout Matrix, _ columns: HeadColumns, _ body: (inout [Float], Range<Int>, Int) -> Void
  ) {
    for row in 0..<x.rows {
      let first = row * x.columns
      for (head, range) in columns.heads.enumerated() where !range.isEmpty {
        body(&x.values, first + range.lowerBound..<first + range.upperBound, head)
      }
    }
  }
}
