public import ByteIO
public import LeanKMask
import LeanKModel

/// How the queries at the end of a context see middle keys: one of the forms that go through a model
/// side by side.
public struct ContextForm: Sendable {
  /// By layer and KV head; nil where every key is whole.
  let middle: [[HeadAttention.Middle]]?

  /// The dense model.
  public static let dense = ContextForm(middle: nil)

  private init(middle: [[HeadAttention.Middle]]?) { self.middle = middle }

  /// Middle keys through a mask. Fails with `.geometry` where the mask is another model's.
  public init(
    _ mask: ChannelMask, _ emptyHeads: AttentionPolicy.EmptyHeads, isStatic: Bool,
    of model: DecoderModel
  ) throws(DecoderError) {
    try model.description.requireLayers(of: mask)
    var middle: [[HeadAttention.Middle]] = []
    for (index, layer) in model.description.layers.enumerated() {
      let heads: [ChannelSet]
      do throws(DecoderError) {
        heads = try layer.attention.heads(of: mask.layers[index])
      } catch {
        throw DecoderError(error.code, "layer \(index): \(error.detail)")
      }
      middle.append(
        heads.map { kept in
          if kept.isEmpty, emptyHeads == .absent, !isStatic { return .absent }
          return .scaled((0..<kept.width).map { kept[$0] ? 1 : 0 })
        })
    }
    self.middle = middle
  }

  /// A factor on each channel of middle keys, [layers][KV heads][head_dim]. Fails with `.geometry` where
  /// they are another model's.
  public init(factors: [[[Float]]], of model: DecoderModel) throws(DecoderError) {
    let attention = model.description.layers.map(\.attention)
    guard factors.map(\.count) == attention.map(\.kvHeads),
      zip(factors, attention).allSatisfy({ heads, attention in
        heads.allSatisfy { $0.count == attention.headDim }
      })
    else {
      throw DecoderError(.geometry, "the factors are not one a channel of the model's keys")
    }
    middle = factors.map { $0.map { .scaled($0) } }
  }

  func middle(layer: Int, kvHead: Int) -> HeadAttention.Middle {
    middle?[layer][kvHead] ?? .whole
  }
}
