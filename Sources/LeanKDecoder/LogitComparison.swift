import RealModule

/// How far two sides' logits lie apart, over all positions.
public struct LogitComparison: Sendable, Hashable {
  public let maximum: Float
  public let mean: Double
  /// Largest Kullback-Leibler divergence of a position, reference against other, in nats.
  public let maximumDivergence: Double
  /// Share of positions where both have the same most likely token.
  public let topAgreement: Double
  /// First position where they do not; nil when there is none.
  public let firstDisagreement: Int?

  /// Compares [tokens, vocabulary] with as many; not-a-number anywhere makes `maximum` infinite.
  public init(reference: Matrix, other: Matrix) {
    precondition(reference.rows == other.rows && reference.columns == other.columns)
    maximum = reference.largestDifference(from: other)
    var sum = 0.0
    for index in reference.values.indices {
      sum += Double(abs(reference.values[index] - other.values[index]))
    }
    mean = reference.values.isEmpty ? 0 : sum / Double(reference.values.count)
    var divergence = 0.0
    var agreements = 0
    var first: Int?
    for row in 0..<reference.rows {
      divergence = max(divergence, Self.divergence(reference, other, row))
      if reference.argmax(row: row) == other.argmax(row: row) {
        agreements += 1
      } else {
        first = first ?? row
      }
    }
    maximumDivergence = divergence
    topAgreement = reference.rows == 0 ? 1 : Double(agreements) / Double(reference.rows)
    firstDisagreement = first
  }

  /// Largest difference that f32 arithmetic explains: its noise, measured against float64 on models
  /// with logits up to 8, grows with the logits.
  public static func tolerance(reference: Matrix) -> Double {
    3e-5 * max(1, Double(reference.largest) / 8)
  }

  private static func divergence(_ reference: Matrix, _ other: Matrix, _ row: Int) -> Double {
    let p = reference.row(row)
    let q = other.row(row)
    let pTotal = logSumOfExponentials(p)
    let qTotal = logSumOfExponentials(q)
    var sum = 0.0
    for (a, b) in zip(p, q) {
      let logarithm = Double(a) - pTotal
      sum += Double.exp(logarithm) * (logarithm - (Double(b) - qTotal))
    }
    return max(0, sum)
  }
}

/// Logarithm of the sum of exponentials.
func logSumOfExponentials(_ x: ArraySlice<Float>) -> Double {
  let largest = Double(x.max() ?? 0)
  return largest + Double.log(x.reduce(0) { $0 + Double.exp(Double($1) - largest) })
}

extension Matrix {
  /// Largest absolute difference between elements; infinite where one is not a number.
  public func largestDifference(from other: Matrix) -> Float {
    precondition(rows == other.rows && columns == other.columns)
    var largest: Float = 0
    for index in values.indices {
      let difference = abs(values[index] - other.values[index])
      if difference.isNaN { return .infinity }
      largest = max(largest, difference)
    }
    return largest
  }

  /// Largest magnitude of an element, 0 when there is none.
  var largest: Float { values.reduce(0) { max($0, abs($1)) } }

  /// First row in which an element differs by more than `limit`, or is not a number.
  func firstRow(differingFrom other: Matrix, by limit: Double) -> Int? {
    precondition(rows == other.rows && columns == other.columns)
    return values.indices.first { !(Double(abs(values[$0] - other.values[$0])) <= limit) }
      .map { $0 / columns }
  }

  /// Mean negative log likelihood, in nats, of each token after position `first` under the logits
  /// of the position before it; nil when there is no such token.
  public func nextTokenLoss(_ tokens: [Int32], from first: Int = 0) -> Double? {
    precondition(tokens.count == rows && first >= 0)
    guard first + 1 < rows else { return nil }
    var sum = 0.0
    for row in first..<rows - 1 {
      let logits = self.row(row)
      sum +=
        logSumOfExponentials(logits) - Double(logits[logits.startIndex + Int(tokens[row + 1])])
    }
    return sum / Double(rows - 1 - first)
  }
}
