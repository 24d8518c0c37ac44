import LeanKMask
import RealModule

/// Inverse frequencies of a rotation, computed in f32 in the order transformers computes them.
package struct RotaryFrequencies: Sendable, Hashable {
  /// One for each pair.
  package let inverse: [Float]
  /// Factor on cosine and sine.
  package let attentionFactor: Float

  /// `length`: tokens of the run; it chooses between short and long factors and, where it exceeds
  /// the trained positions, stretches the base of `dynamic`.
  package init(_ rotary: RotaryDescription, length: Int) {
    let width = rotary.geometry.width
    let plain = Self.powers(rotary.theta, width: width).map { 1 / $0 }
    switch rotary.scaling {
    case .default:
      inverse = plain
      attentionFactor = 1
    case .linear(let factor):
      inverse = plain.map { $0 / Float(factor) }
      attentionFactor = 1
    case .dynamic(let factor, let original):
      inverse =
        length <= original
        ? plain
        : Self.powers(
          Self.stretchedBase(
            rotary.theta, width: width, factor: factor, ratio: Double(length) / Double(original)),
          width: width
        ).map { 1 / $0 }
      attentionFactor = 1
    case .llama3(let factor, let low, let high, let original):
      inverse = plain.map {
        Self.llama3($0, Float(factor), Float(low), Float(high), original: Float(original))
      }
      attentionFactor = 1
    case .yarn(let factor, let original, let fast, let slow, let truncate, let attention):
      let (first, last) = Self.correctionRange(
        width: width, theta: rotary.theta, original: Double(original), fast: fast, slow: slow,
        truncate: truncate)
      inverse = plain.enumerated().map { index, frequency in
        let ramp = min(max((Float(index) - Float(first)) / Float(last - first), 0), 1)
        let interpolated = frequency / Float(factor)
        return interpolated * ramp + frequency * (1 - ramp)
      }
      attentionFactor = Float(attention)
    case .longrope(let short, let long, let original, let attention):
      let divisors = length > original ? long : short
      inverse = zip(divisors, Self.powers(rotary.theta, width: width)).map {
        1 / (Float($0) * $1)
      }
      attentionFactor = Float(attention)
    }
  }

  /// `theta^(2i / width)` for each pair i.
  private static func powers(_ theta: Double, width: Int) -> [Float] {
    (0..<width / 2).map { index in
      let exponent = Float(2 * index) / Float(width)
      return Float(Double.pow(theta, Double(exponent)))
    }
  }

  private static func stretchedBase(
    _ theta: Double, width: Int, factor: Double, ratio: Double
  ) -> Double {
    theta * Double.pow(factor * ratio - (factor - 1), Double(width) / Double(width - 2))
  }

  private static func llama3(
    _ frequency: Float, _ factor: Float, _ low: Float, _ high: Float, original: Float
  ) -> Float {
    let wavelength = 2 * Float.pi / frequency
    if wavelength < original / high { return frequency }
    if wavelength > original / low { return frequency / factor }
    let smooth = (original / wavelength - low) / (high - low)
    return (1 - smooth) * frequency / factor + smooth * frequency
  }

  /// Pairs between which yarn goes over from the trained to the stretched frequencies.
  private static func correctionRange(
    width: Int, theta: Double, original: Double, fast: Double, slow: Double, truncate: Bool
  ) -> (first: Double, last: Double) {
    func pair(rotations: Double) -> Double {
      Double(width) * Double.log(original / (rotations * 2 * .pi))
        / (2 * Double.log(theta))
    }
    var first = pair(rotations: fast)
    var last = pair(rotations: slow)
    if truncate {
      first = first.rounded(.down)
      last = last.rounded(.up)
    }
    first = max(first, 0)
    last = min(last, Double(width - 1))
    if first == last { last += 0.001 }
    return (first, last)
  }
}
