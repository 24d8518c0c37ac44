import LeanKModel
import RealModule

/// A router and the experts it chooses from.
struct MixtureOfExperts: Sendable {
  let router: Linear
  let expertsPerToken: Int
  let weighting: MixtureDescription.Weighting
  let experts: ExpertStore

  func forward(_ x: Matrix, _ compute: ComputeContext) throws(DecoderError) -> Matrix {
    let logits = router.forward(x, compute)
    // Tokens of each expert, so that its weights are read and multiplied once.
    var chosen = [[(token: Int, weight: Float)]](repeating: [], count: logits.columns)
    for token in 0..<x.rows {
      for (expert, weight) in choose(Array(logits.row(token))) {
        chosen[expert].append((token, weight))
      }
    }
    var result = Matrix(rows: x.rows, columns: x.columns)
    for (expert, uses) in chosen.enumerated() where !uses.isEmpty {
      let input = Matrix(
        rows: uses.count, columns: x.columns, values: uses.flatMap { x.row($0.token) })
      let output = try experts.expert(expert).forward(input, compute)
      for (row, use) in uses.enumerated() {
        for column in 0..<x.columns {
          result[use.token, column] += use.weight * output[row, column]
        }
      }
    }
    return result
  }

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

/// One expert.
enum Expert: Sendable {
  case gated(GatedFeedForward)
  case interleaved(InterleavedExpert)

  func forward(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    switch self {
    case .gated(let gated): gated.forward(x, compute)
    case .interleaved(let interleaved): interleaved.forward(x, compute)
    }
  }
}

/// GPT-OSS: gate and up in even and odd columns of one untransposed weight;
/// `down((up + 1) * gate * sigmoid(alpha * gate))`, gate capped at `limit`, up at +-`limit`.
struct InterleavedExpert: Sendable {
  /// [hidden, 2 * intermediate] and [intermediate, hidden].
  let gateUp: WeightMatrix
  let gateUpBias: [Float]
  let down: WeightMatrix
  let downBias: [Float]
  let alpha: Float
  let limit: Float

  func forward(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    output(inner(x, compute), compute)
  }

  /// Gate and up before they are capped, in even and odd columns.
  func inner(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    var both = compute.productUntransposed(x, gateUp)
    both.add(bias: gateUpBias)
    return both
  }

  /// The expert's output from its `inner` product.
  func output(_ both: Matrix, _ compute: ComputeContext) -> Matrix {
    var hidden = Matrix(rows: both.rows, columns: both.columns / 2)
    for row in 0..<both.rows {
      for column in 0..<hidden.columns {
        let gate = min(both[row, 2 * column], limit)
        let up = min(max(both[row, 2 * column + 1], -limit), limit)
        hidden[row, column] = (up + 1) * gate / (1 + Float.exp(-alpha * gate))
      }
    }
    var y = compute.productUntransposed(hidden, down)
    y.add(bias: downBias)
    return y
  }
}
