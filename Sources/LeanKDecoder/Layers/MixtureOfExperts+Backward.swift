import ByteIO
import LeanKModel
import RealModule

extension MixtureOfExperts {
  /// Derivative by the input, through the chosen experts and through their weights; which ones are chosen
  /// is taken as given. Row r of `gradient` belongs to row `r mod input.rows` of the input.
  func backward(
    _ gradient: Matrix, input: Matrix, _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    let logits = router.forward(input, compute)
    var uses = [[(token: Int, weight: Float)]](repeating: [], count: logits.columns)
    let chosen = (0..<input.rows).map { choose(Array(logits.row($0))) }
    for (token, choices) in chosen.enumerated() {
      for (expert, weight) in choices { uses[expert].append((token, weight)) }
    }
    let copies = gradient.rows / max(1, input.rows)
    var result = Matrix(rows: gradient.rows, columns: gradient.columns)
    var toWeights = Matrix(rows: gradient.rows, columns: logits.columns)
    for (index, uses) in uses.enumerated() where !uses.isEmpty {
      let expert = try experts.expert(index)
      let given = Matrix(
        rows: uses.count, columns: input.columns, values: uses.flatMap { input.row($0.token) })
      let pass = expert.recorded(given, compute)
      var weighted: [Float] = []
      weighted.reserveCapacity(copies * given.values.count)
      for copy in 0..<copies {
        for (row, use) in uses.enumerated() {
          let place = copy * input.rows + use.token
          let own = gradient.row(place)
          toWeights[place, index] = zip(own, pass.output.row(row)).reduce(0) { $0 + $1.0 * $1.1 }
          weighted += own.map { $0 * use.weight }
        }
      }
      let part = expert.backward(
        Matrix(rows: copies * uses.count, columns: gradient.columns, values: weighted), pass,
        compute)
      for row in 0..<part.rows {
        let place = row / uses.count * input.rows + uses[row % uses.count].token
        for column in 0..<part.columns { result[place, column] += part[row, column] }
      }
    }
    for row in 0..<gradient.rows {
      let token = row % input.rows
      toLogits(&toWeights, row: row, Array(logits.row(token)), chosen[token].map(\.expert))
    }
    result.add(router.backward(toWeights, compute))
    return result
  }

  /// Takes a row from the derivative by the chosen experts' weights, 0 elsewhere, to that by the logits.
  private func toLogits(
    _ gradient: inout Matrix, row: Int, _ logits: [Float], _ chosen: [Int]
  ) {
    // Those among which the softmax shares out.
    let sharing: [Int] =
      switch weighting {
      case .softmaxThenTop(renormalise: false): Array(logits.indices)
      case .softmaxThenTop(renormalise: true), .topThenSoftmax: chosen
      }
    let largest = sharing.map { logits[$0] }.max() ?? 0
    let exponentials = sharing.map { Float.exp(logits[$0] - largest) }
    let total = exponentials.reduce(0, +)
    var mean: Float = 0
    for (expert, part) in zip(sharing, exponentials) {
      mean += part / total * gradient[row, expert]
    }
    for (expert, part) in zip(sharing, exponentials) {
      gradient[row, expert] = part / total * (gradient[row, expert] - mean)
    }
  }
}

extension Expert {
  /// A forward pass with what a backward pass needs.
  struct Pass {
    let output: Matrix
    /// Of a gated expert its first product; of an interleaved one both together.
    let inner: Matrix
    let up: Matrix?
  }

  func recorded(_ x: Matrix, _ compute: ComputeContext) -> Pass {
    switch self {
    case .gated(let gated):
      var record: LayerRecord? = LayerRecord()
      let output = gated.forward(x, compute, record: &record)
      let kept = record ?? LayerRecord()
      return Pass(output: output, inner: kept.kept(\.gate), up: kept.kept(\.up))
    case .interleaved(let expert):
      let inner = expert.inner(x, compute)
      return Pass(output: expert.output(inner, compute), inner: inner, up: nil)
    }
  }

  /// Derivative by the input, from that by the output.
  func backward(_ gradient: Matrix, _ pass: Pass, _ compute: ComputeContext) -> Matrix {
    switch (self, pass.up) {
    case (.gated(let gated), let up?):
      gated.backward(gradient, gate: pass.inner, up: up, compute)
    case (.interleaved(let expert), _): expert.backward(gradient, inner: pass.inner, compute)
    case (.gated, nil): preconditionFailure("a pass of another kind of expert")
    }
  }
}

extension InterleavedExpert {
  /// Derivative by the input; `inner` is the forward pass's. Beyond a cap nothing passes.
  func backward(_ gradient: Matrix, inner: Matrix, _ compute: ComputeContext) -> Matrix {
    // The weight is stored [in, out].
    let toHidden = compute.product(gradient, down, rows: [0..<down.rows])
    var toBoth = Matrix(rows: gradient.rows, columns: inner.columns)
    for row in 0..<gradient.rows {
      let token = row % inner.rows
      for column in 0..<toHidden.columns {
        let gate = min(inner[token, 2 * column], limit)
        let up = min(max(inner[token, 2 * column + 1], -limit), limit)
        let sigmoid = 1 / (1 + Float.exp(-alpha * gate))
        let given = toHidden[row, column]
        if inner[token, 2 * column] <= limit {
          toBoth[row, 2 * column] =
            given * (up + 1) * sigmoid * (1 + alpha * gate * (1 - sigmoid))
        }
        if abs(inner[token, 2 * column + 1]) <= limit {
          toBoth[row, 2 * column + 1] = given * gate * sigmoid
        }
      }
    }
    return compute.product(toBoth, gateUp, rows: [0..<gateUp.rows])
  }
}
