/// `y = W x + b` for some rows of a weight.
struct Linear: Sendable {
  let weight: WeightMatrix
  /// Rows of the weight, in the order of the outputs.
  let rows: [Range<Int>]
  /// One an output.
  let bias: [Float]?

  var outputs: Int { rows.reduce(0) { $0 + $1.count } }

  /// [tokens, inputs] -> [tokens, outputs].
  func forward(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    var y = compute.product(x, weight, rows: rows)
    if let bias { y.add(bias: bias) }
    return y
  }

  /// The weight's rows as f32, [outputs, inputs].
  func widenedWeight() -> [Float] {
    rows.flatMap { weight.widened($0.lowerBound * weight.columns..<$0.upperBound * weight.columns) }
  }
}
