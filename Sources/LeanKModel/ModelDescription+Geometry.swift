public import ByteIO
public import LeanKMask

extension ModelDescription {
  /// Geometry of each layer, as a mask for this model has to have it.
  public var geometries: [LayerGeometry] {
    get throws(MaskError) {
      var result: [LayerGeometry] = []
      for layer in layers {
        let attention = layer.attention
        result.append(
          try LayerGeometry(
            kvHeads: attention.kvHeads, headDim: attention.headDim,
            attention: AttentionGeometry(
              queryHeads: attention.queryHeads, rotary: attention.rotary?.geometry ?? .none)))
      }
      return result
    }
  }

  /// An activation that no decoder computes, as config.json names it; nil where all are known.
  public var unknownActivation: String? {
    for layer in layers {
      switch layer.feedForward {
      case .gated(_, _, _, .other(let name)), .plain(_, _, .other(let name)): return name
      case .mixture(let mixture):
        if case .separate(_, .other(let name)) = mixture.experts { return name }
      default: continue
      }
    }
    return nil
  }

  /// `mask` with this model's geometry. Fails when the mask was made for another.
  public func adopt(_ mask: ChannelMask) throws(ModelError) -> ChannelMask {
    do throws(MaskError) {
      return try mask.adopting(try geometries)
    } catch {
      throw ModelError(.maskGeometry, error.description)
    }
  }
}
