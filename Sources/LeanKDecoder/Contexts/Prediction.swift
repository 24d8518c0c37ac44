public import ByteIO
import LeanKModel

/// What a model predicts at one position.
public struct Prediction: Sendable, Hashable {
  /// The likeliest token, the lowest of equals.
  public let top: Int
  /// Negative log likelihood of the token that follows, in nats.
  public let loss: Double
  /// Kullback-Leibler divergence of the dense model's distribution from this one, in nats.
  public let divergence: Double
}

extension WeightStore {
  /// What hidden states after the final norm predict, [rows, hidden] by form and sequence, the first form
  /// being the dense model's; `following` has the token after each row of all sequences. Returns one
  /// prediction a row by form. Fails with `.notFinite` where a logit is not.
  public func predictions(
    _ hidden: [[Matrix]], following: [Int32], _ compute: ComputeContext
  ) throws(DecoderError) -> [[Prediction]] {
    precondition(hidden.allSatisfy { $0.reduce(0) { $0 + $1.rows } == following.count })
    var table = LogitTable(
      sides: hidden.count, following: following,
      comparing: hidden.indices.dropFirst().map { .init(reference: 0, other: $0) })
    let step = headStep(rows: hidden.count * following.count)
    for range in (0..<model.description.vocabularySize).blocks(of: step) {
      let head = try head(range)
      // Sequence by sequence, as everywhere in a pass.
      table.add(
        range, hidden.map { Matrix(joining: $0.map { head.logits($0, compute) }) }, compute)
    }
    for side in hidden.indices where table.firstNonFinite(side: side) != nil {
      throw DecoderError(
        .notFinite,
        side == 0
          ? "a logit of the dense model is not finite"
          : "a logit under mask \(side) of \(hidden.count - 1) is not finite")
    }
    return table.predictions()
  }
}
