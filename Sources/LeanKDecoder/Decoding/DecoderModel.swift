public import LeanKModel

/// A checkpoint as the decoder runs it: what it computes and where its weights are.
public struct DecoderModel: Sendable {
  public let description: ModelDescription
  public let weights: any WeightSource

  public init(_ description: ModelDescription, weights: any WeightSource) {
    self.description = description
    self.weights = weights
  }
}
