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
    Self.forward(x, through: [self], compute)[0]
  }

  /// [tokens, inputs] -> [tokens, outputs] of each.
  static func forward(
    _ x: Matrix, through linears: [Linear], _ compute: ComputeContext
  ) -> [Matrix] {
    var results = compute.products(x, linears.map { .init(weight: $0.weight, rows: $0.rows) })
    for (index, linear) in linears.enumerated() {
      if let bias = linear.bias { results[index].add(bias: bias) }
    }
    return results
  }

  /// The weight's rows as f32, [outputs, inputs].
  func widenedWeight() -> [Float] {
    rows.flatMap { weight.widened($0.lowerBound * weight.columns..<$0.upperBound * weight.columns) }
  }
}
