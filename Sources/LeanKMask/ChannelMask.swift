/// One layer of a mask: the kept channels of each KV head, all of the layer's `headDim`.
public struct LayerMask: Sendable, Hashable {
  public let geometry: LayerGeometry
  public let heads: [ChannelSet]

  /// Fails when the number or the width of `heads` is not the geometry's.
  public init(geometry: LayerGeometry, heads: [ChannelSet]) throws(MaskError) {
    guard heads.count == geometry.kvHeads else {
      throw MaskError(.headCount, "\(heads.count) heads where the geometry has \(geometry.kvHeads)")
    }
    for head in heads where head.width != geometry.headDim {
      throw MaskError(
        .headWidth, "a head of \(head.width) channels where head_dim is \(geometry.headDim)")
    }
    self.geometry = geometry
    self.heads = heads
  }

  /// Kept channels of the layer, the sum of |M| over its heads.
  public var keptCount: Int { heads.reduce(0) { $0 + $1.count } }

  /// Closure of each head under the layer's rotary pairs (the assumed ones when unknown).
  public var closure: [ChannelSet] {
    let rotary = geometry.rotaryOrAssumed
    return heads.map { $0.closure(under: rotary) }
  }
}

/// The kept channels of every KV head of every layer of a model.
public struct ChannelMask: Sendable, Hashable {
  public let layers: [LayerMask]

  /// Fails when there is no layer.
  public init(layers: [LayerMask]) throws(MaskError) {
    guard !layers.isEmpty else { throw MaskError(.layerCount, "a mask needs at least one layer") }
    self.layers = layers
  }

  /// All channels, kept or not.
  public var channels: Int { layers.reduce(0) { $0 + $1.geometry.channels } }

  /// Kept channels over all layers.
  public var keptCount: Int { layers.reduce(0) { $0 + $1.keptCount } }

  /// Whether every layer's query heads and rotation are recorded.
  public var knowsAttention: Bool { layers.allSatisfy { $0.geometry.attention != nil } }

  /// The same kept channels with the geometry of a checkpoint.
  ///
  /// Fails with `.geometry` naming the first layer whose KV heads or head_dim differ, or whose
  /// recorded query heads or rotation contradict the checkpoint's.
  public func adopting(_ geometries: [LayerGeometry]) throws(MaskError) -> ChannelMask {
    guard geometries.count == layers.count else {
      throw MaskError(
        .layerCount, "mask has \(layers.count) layers, the checkpoint \(geometries.count)")
    }
    var adopted: [LayerMask] = []
    for (index, (layer, geometry)) in zip(layers, geometries).enumerated() {
      let own = layer.geometry
      guard own.kvHeads == geometry.kvHeads, own.headDim == geometry.headDim else {
        throw MaskError(
          .geometry,
          "layer \(index): mask has \(own.kvHeads) KV heads of \(own.headDim) channels, the checkpoint "
            + "\(geometry.kvHeads) of \(geometry.headDim)")
      }
      if let mine = own.attention, let theirs = geometry.attention, mine != theirs {
        throw MaskError(
          .geometry,
          "layer \(index): mask was made for \(mine.queryHeads) query heads and \(mine.rotary.pairing) "
            + "rotary width \(mine.rotary.width), the checkpoint has \(theirs.queryHeads) and "
            + "\(theirs.rotary.pairing) \(theirs.rotary.width)")
      }
      adopted.append(try LayerMask(geometry: geometry, heads: layer.heads))
    }
    return try ChannelMask(layers: adopted)
  }

  /// The mask that keeps C, the pair closure, in place of M.
  public var closed: ChannelMask {
    get throws(MaskError) {
      var result: [LayerMask] = []
      for layer in layers {
        result.append(try LayerMask(geometry: layer.geometry, heads: layer.closure))
      }
      return try ChannelMask(layers: result)
    }
  }
}
