public import LeanKDecoder
public import LeanKMask

/// Curvature of several sequences: how far a layer's attention output moves with each channel of
/// middle keys.
public struct CurvatureScores: Sendable, Hashable {
  /// Scores of each sequence that was scored, by its number.
  public private(set) var sequences: [Int: Curvature.Scores]
  /// Errors of keeping only so many blocks, once they were measured.
  public internal(set) var errors: Curvature.Errors?

  public init(
    _ sequences: [Int: Curvature.Scores] = [:], errors: Curvature.Errors? = nil
  ) {
    self.sequences = sequences
    self.errors = errors
  }

  public mutating func add(_ scores: Curvature.Scores, of sequence: Int) {
    sequences[sequence] = scores
  }

  /// What `.leank` files call these scores.
  public static let kind = "leank.curvature"

  /// The scores as a mask is chosen from: means over the sequences, added in the order of their
  /// numbers, so that they do not depend on who scored which.
  public func importance() throws(MaskError) -> ImportanceScores {
    let numbers = sequences.keys.sorted()
    let layers = sequences.values.first?.count ?? 0
    var values: [Float] = []
    for layer in 0..<layers {
      values += Self.means(numbers.compactMap { sequences[$0]?[layer] })
    }
    return try ImportanceScores(kind: Self.kind, values: values)
  }

  /// Mean scores of one layer, head after head, from those of each sequence.
  static func means(_ sequences: [[[Double]]]) -> [Float] {
    guard let first = sequences.first else { return [] }
    return first.indices.flatMap { head in
      first[head].indices.map { channel in
        Float(sequences.reduce(0.0) { $0 + $1[head][channel] } / Double(sequences.count))
      }
    }
  }
}
