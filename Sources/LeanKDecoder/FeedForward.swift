import ByteIO
import LeanKModel
import RealModule

/// One layer's feed-forward part.
struct FeedForward {
  let weights: WeightStore
  let multiply: MatrixMultiply

  func apply(
    _ description: FeedForwardDescription, to x: Matrix
  ) throws(DecoderError) -> Matrix {
    switch description {
    case .gated(let gate, let up, let down, let activation):
      return try gated(x, gate, up, down, activation)
    case .plain(let up, let down, let activation):
      var hidden = try weights.apply(up, to: x, multiply: multiply)
      activation.apply(&hidden)
      return try weights.apply(down, to: hidden, outputs: x.columns, multiply: multiply)
    case .mixture(let mixture): return try apply(mixture, to: x)
    }
  }

  private func gated(
    _ x: Matrix, _ gate: LinearDescription, _ up: LinearDescription, _ down: LinearDescription,
    _ activation: Activation
  ) throws(DecoderError) -> Matrix {
    var hidden = try weights.apply(gate, to: x, multiply: multiply)
    let linear = try weights.apply(up, to: x, outputs: hidden.columns, multiply: multiply)
    if activation == .silu {
      Kernels.best.siluProduct(&hidden.values, linear.values)
    } else {
      activation.apply(&hidden)
      for index in hidden.values.indices { hidden.values[index] *= linear.values[index] }
    }
    return try weights.apply(down, to: hidden, outputs: x.columns, multiply: multiply)
  }

  private func apply(_ mixture: MixtureDescription, to x: Matrix) throws(DecoderError) -> Matrix {
    let router = try weights.apply(mixture.router, to: x, multiply: multiply)
    guard mixture.expertsPerToken >= 1, mixture.expertsPerToken <= router.columns else {
      throw DecoderError(
        .geometry, "\(mixture.expertsPerToken) experts a token of \(router.columns) experts")
    }
    // Tokens of each expert, so that its weights are read and multiplied once.
    var chosen = [[(token: Int, weight: Float)]](repeating: [], count: router.columns)
    for token in 0..<x.rows {
      for (expert, weight) in mixture.choose(Array(router.row(token))) {
        chosen[expert].append((token, weight))
      }
    }
    var result = Matrix(rows: x.rows, columns: x.columns)
    for (expert, uses) in chosen.enumerated() where !uses.isEmpty {
      let input = Matrix(
        rows: uses.count, columns: x.columns, values: uses.flatMap { x.row($0.token) })
      let output = try apply(mixture.experts, expert, of: router.columns, to: input)
      for (row, use) in uses.enumerated() {
        for column in 0..<x.columns {
          result[use.token, column] += use.weight * output[row, column]
        }
      }
    }
    return result
  }

  private func apply(
    _ experts: MixtureDescription.Experts, _ expert: Int, of count: Int, to x: Matrix
  ) throws(DecoderError) -> Matrix {
    switch experts {
    case .separate(let list, let activation):
      guard list.count == count else {
        throw DecoderError(.geometry, "\(list.count) experts where the router knows \(count)")
      }
      let one = list[expert]
      return try gated(x, one.gate, one.up, one.down, activation)
    case .interleaved(
      let gateUp, let gateUpBias, let down, let downBias, let alpha, let limit):
      let both = try untransposed(gateUp, gateUpBias, expert, of: count, x)
      var hidden = Matrix(rows: x.rows, columns: both.columns / 2)
      for row in 0..<x.rows {
        for column in 0..<hidden.columns {
          let gate = min(both[row, 2 * column], limit)
          let up = min(max(both[row, 2 * column + 1], -limit), limit)
          hidden[row, column] = (up + 1) * gate / (1 + Float.exp(-alpha * gate))
        }
      }
      return try untransposed(down, downBias, expert, of: count, hidden)
    }
  }

  /// `x W + b` for one expert of W [experts, in, out] and b [experts, out].
  private func untransposed(
    _ weight: String, _ bias: String, _ expert: Int, of count: Int, _ x: Matrix
  ) throws(DecoderError) -> Matrix {
    let extent = try weights.extent(of: weight)
    let biasExtent = try weights.extent(of: bias)
    guard extent.rows == count * x.columns, biasExtent == (count, extent.columns) else {
      throw DecoderError(
        .tensorShape,
        "tensors \(quoted(weight)) and \(quoted(bias)) are not those of \(count) experts with "
          + "\(x.columns) inputs")
    }
    let matrix = try weights.matrix(weight, rows: expert * x.columns..<(expert + 1) * x.columns)
    var y = multiply.productUntransposed(x, matrix)
    let added = try weights.matrix(bias, rows: expert..<expert + 1)
    y.add(bias: added.widened(0..<extent.columns))
    return y
  }
}

extension MixtureDescription {
  /// The experts of one token and their weights, by falling logit, ties to the lower expert.
  func choose(_ logits: [Float]) -> [(expert: Int, weight: Float)] {
    let order = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }
    let top = order.prefix(expertsPerToken)
    let largest = logits[order[0]]
    let exponentials = logits.map { Float.exp($0 - largest) }
    let total: Float
    switch weighting {
    case .softmaxThenTop(renormalise: false): total = exponentials.reduce(0, +)
    // Both divide by the chosen ones' sum: a softmax of some is a softmax of all, rescaled.
    case .softmaxThenTop(renormalise: true), .topThenSoftmax:
      total = top.reduce(0) { $0 + exponentials[$1] }
    }
    return top.map { ($0, exponentials[$0] / total) }
  }
}

extension Activation {
  func apply(_ x: inout Matrix) {
    for index in x.values.indices { x.values[index] = callAsFunction(x.values[index]) }
  }

  func callAsFunction(_ x: Float) -> Float {
    switch self {
    case .silu: x / (1 + Float.exp(-x))
    case .gelu: 0.5 * x * (1 + Float.erf(x * Float(0.5).squareRoot()))
    case .geluTanh:
      0.5 * x * (1 + Float.tanh(0.797_884_56 * (x + 0.044_715 * x * x * x)))
    case .relu: max(x, 0)
    // A run with one is refused when it is prepared.
    case .other: .nan
    }
  }
}
