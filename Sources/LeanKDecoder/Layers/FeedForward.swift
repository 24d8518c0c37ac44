import LeanKModel

/// One layer's feed-forward part.
enum FeedForward: Sendable {
  case gated(GatedFeedForward)
  case plain(PlainFeedForward)
  case mixture(MixtureOfExperts)

  /// [tokens, hidden] -> [tokens, hidden]. Only a mixture reads weights here, those of the experts
  /// that the tokens chose.
  func forward(_ x: Matrix, _ compute: ComputeContext) throws(DecoderError) -> Matrix {
    switch self {
    case .gated(let gated): gated.forward(x, compute)
    case .plain(let plain): plain.forward(x, compute)
    case .mixture(let mixture): try mixture.forward(x, compute)
    }
  }
}

/// `down(activation(gate x) * up x)`
struct GatedFeedForward: Sendable {
  let gate: Linear
  let up: Linear
  let down: Linear
  let activation: Activation

  func forward(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    var hidden = gate.forward(x, compute)
    let linear = up.forward(x, compute)
    if activation == .silu {
      compute.kernels.siluProduct(&hidden.values, linear.values)
    } else {
      activation.apply(&hidden)
      for index in hidden.values.indices { hidden.values[index] *= linear.values[index] }
    }
    return down.forward(hidden, compute)
  }
}

/// `down(activation(up x))`
struct PlainFeedForward: Sendable {
  let up: Linear
  let down: Linear
  let activation: Activation

  func forward(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    var hidden = up.forward(x, compute)
    activation.apply(&hidden)
    return down.forward(hidden, compute)
  }
}
