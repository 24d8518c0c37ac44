import LeanKModel

/// RMS or layer normalisation with its weights at hand.
struct Norm: Sendable {
  let kind: NormDescription.Kind
  let epsilon: Float
  /// Stored weight plus the description's offset.
  let weight: [Float]
  let bias: [Float]?

  /// Fails unless the weights have `count` elements.
  init(
    _ description: NormDescription, count: Int, _ reader: WeightReader
  ) throws(DecoderError) {
    kind = description.kind
    epsilon = description.epsilon
    var weight = try reader.vector(description.weight, count: count)
    if description.weightOffset != 0 {
      for index in weight.indices { weight[index] += description.weightOffset }
    }
    self.weight = weight
    bias = if let name = description.bias { try reader.vector(name, count: count) } else { nil }
  }

  /// Rows that one thread takes at a time.
  private static let block = 64

  /// Every row normalised.
  func forward(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    let columns = x.columns
    let blocks = (0..<x.rows).blocks(of: Self.block)
    return unsafe Matrix(rows: x.rows, columns: columns) { buffer in
      let elements = unsafe DisjointElements(buffer)
      compute.concurrently(blocks.count) { index in
        for row in blocks[index] {
          let place = row * columns..<(row + 1) * columns
          _ = unsafe elements.part(place).initialize(fromContentsOf: x.values[place])
          elements.withElements(place) { apply(&$0) }
        }
      }
    }
  }

  /// Normalises `values` in place, with this weight from element `first` on.
  func apply(_ values: inout MutableSpan<Float>, weightFrom first: Int = 0) {
    let count = Float(values.count)
    guard count > 0 else { return }
    var mean: Float = 0
    if kind == .layer {
      var sum: Double = 0
      for index in values.indices { sum += Double(values[index]) }
      mean = Float(sum) / count
    }
    var squares: Double = 0
    for index in values.indices {
      let centred = Double(values[index] - mean)
      squares += centred * centred
    }
    let factor = 1 / (Float(squares) / count + epsilon).squareRoot()
    var element = first
    for index in values.indices {
      values[index] = (values[index] - mean) * factor * weight[element]
      if let bias { values[index] += bias[element] }
      element += 1
    }
  }
}
