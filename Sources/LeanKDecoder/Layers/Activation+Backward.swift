import LeanKModel
import RealModule

extension Activation {
  /// Derivative at `x`.
  func slope(_ x: Float) -> Float {
    switch self {
    case .silu:
      let sigmoid = 1 / (1 + Float.exp(-x))
      return sigmoid * (1 + x * (1 - sigmoid))
    case .gelu:
      let distribution = 0.5 * (1 + Float.erf(x * Float(0.5).squareRoot()))
      return distribution + x * Float.exp(-0.5 * x * x) / (2 * Float.pi).squareRoot()
    case .geluTanh:
      let scale: Float = 0.797_884_56
      let cubic: Float = 0.044_715
      let tangent = Float.tanh(scale * (x + cubic * x * x * x))
      return 0.5 * (1 + tangent)
        + 0.5 * x * (1 - tangent * tangent) * scale * (1 + 3 * cubic * x * x)
    case .relu: return x > 0 ? 1 : 0
    // A run with one is refused when its session is made.
    case .other: return .nan
    }
  }
}
