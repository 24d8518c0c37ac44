import LeanKModel

/// One layer's feed-forward part.
enum FeedForward: Sendable {
  case gated(GatedFeedForward)
  case plain(PlainFeedForward)
  case mixture(MixtureOfExperts)

  /// [tokens, hidden] -> [tokens, hidden]. Only a mixture reads weights here, those of the experts
  /// that the tokens chose. `record` gets what a backward pass needs, unless it is nil.
  func forward(
    _ x: Matrix, _ compute: ComputeContext, record: inout LayerRecord?
  ) throws(DecoderError) -> Matrix {
    switch self {
    case .gated(let gated): gated.forward(x, compute, record: &record)
    case .plain(let plain): plain.forward(x, compute, record: &record)
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

  /// Elements that one thread multiplies at a time.
  private static let block = 1 << 15

  func forward(_ x: Matrix, _ compute: ComputeContext) -> Matrix {
    var record: LayerRecord?
    return forward(x, compute, record: &record)
  }

  func forward(
    _ x: Matrix, _ compute: ComputeContext, record: inout LayerRecord?
  ) -> Matrix {
    // Taken out of the array, for one that is shared would be copied before it is changed.
    var results = Linear.forward(x, through: [gate, up], compute)
    let linear = results.removeLast()
    var hidden = results.removeLast()
    record?.gate = hidden
    record?.up = linear
    if activation == .silu {
      let blocks = hidden.values.indices.blocks(of: Self.block)
      hidden.values.withDisjointElements { elements in
        compute.concurrently(blocks.count) { index in
          elements.withElements(blocks[index]) {
            compute.kernels.siluProduct(&$0, linear.values.span.extracting(blocks[index]))
          }
        }
      }
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

  func forward(
    _ x: Matrix, _ compute: ComputeContext, record: inout LayerRecord?
  ) -> Matrix {
    var hidden = up.forward(x, compute)
    record?.gate = hidden
    activation.apply(&hidden)
    return down.forward(hidden, compute)
  }
}
