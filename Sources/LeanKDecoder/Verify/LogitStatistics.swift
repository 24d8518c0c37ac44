import RealModule

/// What is known of one token's logits on one side after some blocks of the vocabulary.
struct LogitStatistics: Sendable {
  /// Largest logit so far and the lowest id that has it.
  private(set) var largest = -Float.infinity
  private(set) var top = 0
  /// Largest magnitude.
  private(set) var magnitude: Float = 0
  /// Sum of `exp(logit - largest)`.
  private(set) var sum = 0.0
  /// The logit of the token that follows, where it is given.
  private(set) var target: Float?
  private(set) var isFinite = true

  /// Logarithm of the sum of all exponentials.
  var logSum: Double { Double(largest) + Double.log(sum) }

  /// Mean negative log likelihood's term, in nats; nil for a token that none follows.
  var loss: Double? { target.map { logSum - Double($0) } }

  /// Takes the logits of `vocabulary`, which follows the blocks before; returns the factor by which
  /// sums relative to `largest` have to be multiplied. `weights` becomes `exp(logit - largest)`.
  mutating func add(
    _ logits: ArraySlice<Float>, from first: Int, following: Int?, weights: inout [Double]
  ) -> Double {
    let before = largest
    for index in logits.indices {
      let logit = logits[index]
      if logit > largest {
        largest = logit
        top = first + index - logits.startIndex
      }
      magnitude = max(magnitude, abs(logit))
      if !logit.isFinite { isFinite = false }
    }
    if let following, following >= first, following < first + logits.count {
      target = logits[logits.startIndex + following - first]
    }
    let factor = before == -.infinity ? 0 : Double.exp(Double(before) - Double(largest))
    sum *= factor
    weights.removeAll(keepingCapacity: true)
    for logit in logits {
      let weight = Double.exp(Double(logit) - Double(largest))
      weights.append(weight)
      sum += weight
    }
    return factor
  }
}

/// How far one token's logits on two sides lie apart after some blocks of the vocabulary.
struct LogitDifference: Sendable {
  private(set) var maximum: Float = 0
  private(set) var sum = 0.0
  /// Sum of `exp(a - largest a) * (a - b)`.
  private var weighted = 0.0

  /// `weights` and `factor` are those of the reference's statistics for the same block.
  mutating func add(
    _ reference: ArraySlice<Float>, _ other: ArraySlice<Float>, weights: [Double], factor: Double
  ) {
    weighted *= factor
    for (index, weight) in weights.enumerated() {
      let difference = reference[reference.startIndex + index] - other[other.startIndex + index]
      guard difference != 0 else { continue }
      let magnitude = abs(difference)
      maximum = magnitude.isNaN ? .infinity : max(maximum, magnitude)
      sum += Double(magnitude)
      weighted += weight * Double(difference)
    }
  }

  /// Kullback-Leibler divergence, reference against other, in nats.
  func divergence(_ reference: LogitStatistics, _ other: LogitStatistics) -> Double {
    guard maximum > 0 else { return 0 }
    // Summing leaves noise below 0 where the two are nearly equal.
    return max(0, weighted / reference.sum - (reference.logSum - other.logSum))
  }
}
