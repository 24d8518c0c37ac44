import ByteIO
import LeanKModel

extension WeightStore {
  /// `W x + b` for every row of `x`; fails unless the weight has `x.columns` columns and, when
  /// `outputs` is given, so many rows.
  func apply(
    _ linear: LinearDescription, to x: Matrix, outputs: Int? = nil, multiply: MatrixMultiply
  ) throws(DecoderError) -> Matrix {
    let weight = try matrix(linear.weight)
    let rows = linear.rows ?? 0..<weight.rows
    try check(weight, columns: x.columns, rows: rows.upperBound)
    if let outputs, outputs != rows.count {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(linear.weight)) gives \(rows.count) outputs where \(outputs) are needed")
    }
    var y = multiply.product(x, weight, rows: [rows])
    if let bias = try bias(linear.bias, linear.rows) {
      guard bias.count == y.columns else {
        throw DecoderError(
          .tensorShape,
          "the bias of \(quoted(linear.weight)) has \(bias.count) elements, not \(y.columns)")
      }
      y.add(bias: bias)
    }
    return y
  }

  /// The projection of all heads side by side, each as wide as it has rows.
  func apply(
    _ heads: HeadRows, to x: Matrix, multiply: MatrixMultiply
  ) throws(DecoderError) -> Matrix {
    let weight = try matrix(heads.weight)
    let runs = heads.consecutiveRuns
    try check(weight, columns: x.columns, rows: runs.map(\.upperBound).max() ?? 0)
    var y = multiply.product(x, weight, rows: runs)
    if let name = heads.bias {
      var all: [Float] = []
      for run in runs { all += try bias(name, run) ?? [] }
      y.add(bias: all)
    }
    return y
  }

  private func check(_ weight: WeightMatrix, columns: Int, rows: Int) throws(DecoderError) {
    guard weight.columns == columns, weight.rows >= rows else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(weight.name)) is [\(weight.rows), \(weight.columns)] where [\(rows), \(columns)] is needed"
      )
    }
  }
}

extension HeadRows {
  /// The heads' rows with neighbouring ranges joined: one product for each.
  var consecutiveRuns: [Range<Int>] {
    var runs: [Range<Int>] = []
    for head in heads where !head.isEmpty {
      if let last = runs.last, last.upperBound == head.lowerBound {
        runs[runs.count - 1] = last.lowerBound..<head.upperBound
      } else {
        runs.append(head)
      }
    }
    return runs
  }
}
