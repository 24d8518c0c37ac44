import ByteIO
import LeanKModel

extension FeedForward {
  /// Derivative by the input, [tokens, hidden], from that by the output; `record` is what `forward` left.
  ///
  /// Several derivatives may be asked for at once, one below the other: row r of `gradient` belongs to
  /// token `r mod tokens`.
  func backward(
    _ gradient: Matrix, _ record: LayerRecord, _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    switch self {
    case .gated(let gated):
      gated.backward(gradient, gate: record.kept(\.gate), up: record.kept(\.up), compute)
    case .plain(let plain):
      plain.backward(gradient, inner: record.kept(\.gate), compute)
    case .mixture(let mixture):
      try mixture.backward(gradient, input: record.kept(\.feedForwardInput), compute)
    }
  }
}

extension GatedFeedForward {
  /// Derivative by the input; `gate` and `up` are the forward pass's, before they were multiplied.
  func backward(_ gradient: Matrix, gate: Matrix, up: Matrix, _ compute: ComputeContext) -> Matrix {
    var toGate = down.backward(gradient, compute)
    var toUp = toGate
    let columns = gate.columns
    toGate.values.withDisjointElements { toGate in
      toUp.values.withDisjointElements { toUp in
        compute.concurrently(gradient.rows) { row in
          let own = row * columns..<(row + 1) * columns
          let first = row % gate.rows * columns
          let gate = gate.values.span.extracting(first..<first + columns)
          let up = up.values.span.extracting(first..<first + columns)
          toGate.withElements(own) { toGate in
            toUp.withElements(own) { toUp in
              multiply(&toGate, &toUp, gate: gate, up: up, compute.kernels)
            }
          }
        }
      }
    }
    var result = self.gate.backward(toGate, compute)
    result.add(self.up.backward(toUp, compute))
    return result
  }

  /// Takes both from the derivative by `activation(gate) * up` to that by the factor each is named for.
  private func multiply(
    _ toGate: inout MutableSpan<Float>, _ toUp: inout MutableSpan<Float>, gate: Span<Float>,
    up: Span<Float>, _ kernels: Kernels
  ) {
    if activation == .silu {
      kernels.siluGradient(&toGate, &toUp, gate: gate, up: up)
      return
    }
    for index in gate.indices {
      toUp[index] = toGate[index] * activation(gate[index])
      toGate[index] *= up[index] * activation.slope(gate[index])
    }
  }
}

extension PlainFeedForward {
  /// Derivative by the input; `inner` is the forward pass's first product.
  func backward(_ gradient: Matrix, inner: Matrix, _ compute: ComputeContext) -> Matrix {
    var result = down.backward(gradient, compute)
    let columns = inner.columns
    result.values.withDisjointElements { elements in
      compute.concurrently(gradient.rows) { row in
        let first = row % inner.rows * columns
        elements.withElements(row * columns..<(row + 1) * columns) { elements in
          for index in elements.indices {
            elements[index] *= activation.slope(inner.values[first + index])
          }
        }
      }
    }
    return up.backward(result, compute)
  }
}
