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

  /// Fails when there is no layer, or none with a K cache of heads.
  public init(layers: [LayerMask]) throws(MaskError) {
    guard !layers.isEmpty else { throw MaskError(.layerCount, "a mask needs at least one layer") }
    guard layers.contains(where: \.geometry.hasCache) else {
      throw MaskError(.geometry, "no layer has KV heads, so there is nothing to keep")
    }
    self.layers = layers
  }

  /// All channels, kept or not.
  public var channels: Int { layers.reduce(0) { $0 + $1.geometry.channels } }

  /// Kept channels over all layers.
  public var keptCount: Int { layers.reduce(0) { $0 + $1.keptCount } }

  /// Whether query heads and rotation are recorded for every layer with a K cache of heads.
  public var knowsAttention: Bool {
    layers.allSatisfy { $0.geometry.attention != nil || !$0.geometry.hasCache }
  }

  /// The same kept channels with the geometry of a checkpoint.
  ///
  /// The mask's layers are the checkpoint's, or, where they are as many, its layers with a K cache of
  /// heads. Fails with `.layerCount` when they are neither, and with `.geometry` naming the first layer
  /// whose KV heads or head_dim differ, or whose recorded query heads, rotation or value width
  /// contradict the checkpoint's.
  public func adopting(_ geometries: [LayerGeometry]) throws(MaskError) -> ChannelMask {
    let places = try LayerGeometry.places(of: layers.map(\.geometry), in: geometries)
    var heads = [[ChannelSet]](repeating: [], count: geometries.count)
    for (layer, index) in zip(layers, places) {
      let (own, geometry) = (layer.geometry, geometries[index])
      guard own.kvHeads == geometry.kvHeads, own.headDim == geometry.headDim else {
        throw MaskError(
          .geometry,
          "layer \(index): mask has \(own.keysText), the checkpoint \(geometry.keysText)")
      }
      if let mine = own.attention, let theirs = geometry.attention, mine != theirs {
        throw MaskError(
          .geometry,
          "layer \(index): mask was made for \(mine.queryHeads) query heads and \(mine.rotary.pairing) "
            + "rotary width \(mine.rotary.width), values of \(own.valueDim), the checkpoint has "
            + "\(theirs.queryHeads) and \(theirs.rotary.pairing) \(theirs.rotary.width), values of "
            + "\(geometry.valueDim)")
      }
      heads[index] = layer.heads
    }
    var adopted: [LayerMask] = []
    for (geometry, heads) in zip(geometries, heads) {
      adopted.append(try LayerMask(geometry: geometry, heads: heads))
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

extension LayerGeometry {
  /// Which layer of a model each of `own` is.
  ///
  /// They count the model's layers, where layers without a K cache of heads at its end may be left
  /// out, or only those with one. Fails with `.layerCount` when they do neither.
  public static func places(
    of own: [LayerGeometry], in model: [LayerGeometry]
  ) throws(MaskError) -> [Int] {
    if own.count == model.count { return Array(model.indices) }
    let cached = model.indices.filter { model[$0].hasCache }
    let countsAll = own.contains { !$0.hasCache }
    if countsAll, own.count < model.count, cached.allSatisfy(own.indices.contains) {
      return Array(own.indices)
    }
    guard !countsAll, own.count == cached.count else {
      throw MaskError(
        .layerCount,
        "mask has \(own.count) layers, the checkpoint \(model.count)"
          + (cached.count == model.count ? "" : ", \(cached.count) of them with KV heads"))
    }
    return cached
  }

  fileprivate var keysText: String {
    hasCache ? "\(kvHeads) KV heads of \(headDim) channels" : "no KV heads"
  }
}
