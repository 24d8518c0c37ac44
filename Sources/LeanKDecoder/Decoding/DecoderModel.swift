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

extension ModelDescription {
  /// Fails with `.geometry` unless the mask has this model's number of layers.
  func requireLayers(of mask: ChannelMask) throws(DecoderError) {
    guard mask.layers.count == layers.count else {
      throw DecoderError(
        .geometry, "the mask has \(mask.layers.count) layers, the model \(layers.count)")
    }
  }
}

extension AttentionDescription {
  /// Kept channels of a mask's layer. Fails with `.geometry` unless its KV heads are this layer's.
  func heads(of mask: LayerMask) throws(DecoderError) -> [ChannelSet] {
    let heads = mask.heads
    guard heads.count == kvHeads, heads.allSatisfy({ $0.width == headDim }) else {
      throw DecoderError(
        .geometry,
        "the mask has \(heads.count) KV heads of \(heads.first?.width ?? 0) channels, the model "
          + "\(kvHeads) of \(headDim)")
    }
    return heads
  }
}
