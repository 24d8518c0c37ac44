/// AdamW without weight decay, one element a parameter; torch's defaults.
struct AdamW: Sendable, Hashable {
  private(set) var first: [Double]
  private(set) var second: [Double]
  private(set) var steps: Int

  private static let (beta1, beta2) = (0.9, 0.999)
  private static let epsilon = 1e-8

  init(count: Int) {
    first = [Double](repeating: 0, count: count)
    second = first
    steps = 0
  }

  /// Goes on where another run stopped; nil unless both moments are as long.
  init?(first: [Double], second: [Double], steps: Int) {
    guard first.count == second.count, steps >= 0 else { return nil }
    self.first = first
    self.second = second
    self.steps = steps
  }

  /// Moves `parameters` against `gradient`.
  mutating func step(_ parameters: inout [Double], _ gradient: [Double], rate: Double) {
    precondition(parameters.count == first.count && gradient.count == first.count)
    steps += 1
    var (power1, power2) = (1.0, 1.0)
    for _ in 0..<steps {
      power1 *= Self.beta1
      power2 *= Self.beta2
    }
    let correction = (1 - power2).squareRoot()
    for index in parameters.indices {
      let slope = gradient[index]
      first[index] += (slope - first[index]) * (1 - Self.beta1)
      second[index] = Self.beta2 * second[index] + (1 - Self.beta2) * slope * slope
      let scale = second[index].squareRoot() / correction + Self.epsilon
      parameters[index] -= rate / (1 - power1) * first[index] / scale
    }
  }
}
