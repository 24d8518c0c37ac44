import ByteIO
public import LeanKMask
import LeanKModel

/// What attention of a session computes with: the one choice between reference and cache.
public enum AttentionForm: Sendable, Hashable {
  /// Whole keys from all rows of the projections; under a mask, applied where keys are seen through it.
  case reference(ChannelMask?, order: SumOrder = .fast)
  /// A factor on each channel of keys that are seen through the mask, [layers][KV heads][head_dim].
  case factors([[[Float]]])
  /// A cache of |M| channels a head; nil keeps all. `rows` says which rows of each head the model's K
  /// and Q projections have (`mask.closed` after layout `rows`); nil = all.
  case cached(
    ChannelMask?, rows: ChannelMask? = nil, element: ElementType = .f32, order: SumOrder = .fast)

  /// The same form with another order of sums; factors have one only.
  func ordered(_ order: SumOrder) -> AttentionForm {
    switch self {
    case .reference(let mask, _): .reference(mask, order: order)
    case .factors: self
    case .cached(let mask, let rows, let element, _):
      .cached(mask, rows: rows, element: element, order: order)
    }
  }

  /// Attention of every layer, with nothing in it. Fails with `.geometry` where the mask or the rows
  /// are another model's, with `.prunedRows` where windowed mode finds rows missing.
  func layers(
    of model: ModelDescription, _ policy: AttentionPolicy
  ) throws(DecoderError) -> [any LayerAttention] {
    for mask in masks { try model.requireLayers(of: mask) }
    var layers: [any LayerAttention] = []
    for index in model.layers.indices {
      do throws(DecoderError) {
        layers.append(try layer(index, of: model, policy))
      } catch {
        throw DecoderError(error.code, "layer \(index): \(error.detail)")
      }
    }
    return layers
  }

  private var masks: [ChannelMask] {
    switch self {
    case .reference(let mask, _): [mask].compactMap { $0 }
    case .factors: []
    case .cached(let mask, let rows, _, _): [mask, rows].compactMap { $0 }
    }
  }

  /// Attention of one layer, with nothing in it.
  func layer(
    _ index: Int, of model: ModelDescription, _ policy: AttentionPolicy
  ) throws(DecoderError) -> any LayerAttention {
    let attention = model.layers[index].attention
    func heads(_ mask: ChannelMask) throws(DecoderError) -> [ChannelSet] {
      try attention.heads(of: mask.layers[index])
    }
    switch self {
    case .reference(let mask, let order):
      let scale: KeyScale = if let mask { .mask(try heads(mask)) } else { .none }
      return try ReferenceAttention(attention, policy, scale, order: order)
    case .factors(let factors):
      guard factors.count == model.layers.count, factors[index].count == attention.kvHeads,
        factors[index].allSatisfy({ $0.count == attention.headDim })
      else {
        throw DecoderError(.geometry, "the factors are not one a channel of the model's keys")
      }
      return try ReferenceAttention(
        attention, policy, .factor(factors[index]), order: .fast)
    case .cached(let mask, let rows, let element, let order):
      let whole = [ChannelSet](
        repeating: .full(width: attention.headDim), count: attention.kvHeads)
      let kept = if let mask { try heads(mask) } else { whole }
      let present = if let rows { try heads(rows) } else { whole }
      return try CachedAttention(
        attention, policy, kept: kept, rows: present, codec: CacheCodec(element), order: order)
    }
  }
}
