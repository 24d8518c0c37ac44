extension Linear {
  /// Derivative by the inputs, [tokens, inputs], from that by the outputs, [tokens, outputs].
  func backward(_ gradient: Matrix, _ compute: ComputeContext) -> Matrix {
    compute.productUntransposed(gradient, weight, rows: rows)
  }
}
