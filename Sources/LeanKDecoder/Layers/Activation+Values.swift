import LeanKModel
import RealModule

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
    // A run with one is refused when its session is made.
    case .other: .nan
    }
  }
}
