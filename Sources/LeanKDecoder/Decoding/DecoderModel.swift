import ByteIO
import LeanKMask
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

extension ModelDescription {
  /// Fails with `.activation` where the model applies a function that the decoder does not know.
  func requireKnownFunctions() throws(DecoderError) {
    guard let name = unknownActivation else { return }
    throw DecoderError(
      .activation, "activation \(quoted(name)) is not computed; the weights convert all the same")
  }

  /// Frequencies of each layer's rotation in a run of `length` tokens; nil for a layer without one.
  func rotations(length: Int) -> [RotaryFrequencies?] {
    layers.map { layer in
      guard let rotary = layer.attention.rotary, rotary.geometry.width > 0 else { return nil }
      return RotaryFrequencies(rotary, length: length)
    }
  }
}
