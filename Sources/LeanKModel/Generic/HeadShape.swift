import ByteIO
import StrictJSON

/// Heads and widths of one layer's attention, as config.json says.
struct HeadShape: Hashable {
  var queryHeads: Int
  var kvHeads: Int
  var headDim: Int
  /// nil = `headDim`, and no key says otherwise.
  var valueDim: Int?

  /// Keys that are read, at the root or for one layer.
  private static let own = ["head_dim", "num_key_value_heads", "num_attention_heads", "v_head_dim"]
  /// Those of layers that slide, and of those that see all.
  private static let sliding = own.map { "swa_" + $0 }
  private static let global = ["global_head_dim", "num_global_key_value_heads"]
  /// Parts of keys that speak of something other than the keys of attention heads.
  private static let others = [
    "index", "linear", "mamba", "vision", "visual", "image", "audio", "mtp", "ssm", "conv",
  ]

  /// The shape of each layer, whatever it caches. Fails on a key of heads that is not known.
  static func shapes(
    _ object: ConfigurationObject, _ kinds: [LayerKind]
  ) throws(ModelError) -> [HeadShape] {
    try checkKeys(object)
    let perLayer = try object.object("per_layer_config")
    try perLayer.map { layers throws(ModelError) in try checkIndices(layers, kinds.count) }
    let base = try HeadShape(object)
    var result: [HeadShape] = []
    for (index, kind) in kinds.enumerated() {
      var shape = base
      if kind == .sliding { shape = try HeadShape(object, sliding, else: shape) }
      if kind == .full, perLayer == nil { shape = try shape.global(object) }
      if let own = try perLayer?.object(String(index)) {
        try checkKeys(own)
        shape = try HeadShape(own, Self.own, else: shape)
      }
      guard shape.queryHeads.isMultiple(of: shape.kvHeads) else {
        throw object.error(
          .inconsistent,
          "layer \(index): \(shape.queryHeads) query heads are not a multiple of \(shape.kvHeads) KV "
            + "heads", "num_key_value_heads")
      }
      result.append(shape)
    }
    if kinds.contains(.unnamed) { try checkSpecial(object, base) }
    return result
  }

  /// The shape by the keys that hold for all layers.
  private init(_ object: ConfigurationObject) throws(ModelError) {
    let heads = 1...ModelConfiguration.headLimit
    let widths = 1...ModelConfiguration.headDimLimit
    queryHeads = try object.integer("num_attention_heads", in: heads)
    kvHeads = try object.optionalInteger("num_key_value_heads", in: heads) ?? queryHeads
    valueDim = try object.optionalInteger("v_head_dim", in: widths)
    if let width = try object.optionalInteger("head_dim", in: widths) {
      headDim = width
      return
    }
    let hidden = try object.integer("hidden_size", in: 1...ModelConfiguration.sizeLimit)
    guard hidden.isMultiple(of: queryHeads), widths.contains(hidden / queryHeads) else {
      throw object.error(
        .inconsistent,
        "hidden_size \(hidden) does not divide into \(queryHeads) heads, and no head_dim is given",
        "head_dim")
    }
    headDim = hidden / queryHeads
  }

  /// `shape` with the values that `object` has under `keys`, in the order of `own`.
  private init(
    _ object: ConfigurationObject, _ keys: [String], else shape: HeadShape
  ) throws(ModelError) {
    let heads = 1...ModelConfiguration.headLimit
    let widths = 1...ModelConfiguration.headDimLimit
    headDim = try object.optionalInteger(keys[0], in: widths) ?? shape.headDim
    kvHeads = try object.optionalInteger(keys[1], in: heads) ?? shape.kvHeads
    queryHeads = try object.optionalInteger(keys[2], in: heads) ?? shape.queryHeads
    valueDim = try object.optionalInteger(keys[3], in: widths) ?? shape.valueDim
  }

  /// The shape of a layer that sees all, where such layers have keys of their own.
  private func global(_ object: ConfigurationObject) throws(ModelError) -> HeadShape {
    var result = self
    let limit = ModelConfiguration.headDimLimit
    if let width = try object.optionalInteger("global_head_dim", in: 0...limit), width > 0 {
      result.headDim = width
    }
    let heads = try object.optionalInteger("num_global_key_value_heads", in: 1...limit)
    // Where the key is there and false, values are projected by themselves, and all layers have as
    // many KV heads.
    if let heads, try object.bool("attention_k_eq_v", default: true) { result.kvHeads = heads }
    return result
  }

  /// Fails where keys give some layers a shape of their own and nothing says which.
  private static func checkSpecial(
    _ object: ConfigurationObject, _ base: HeadShape
  ) throws(ModelError) {
    let known = [base.headDim, base.kvHeads, base.queryHeads, base.valueDim ?? base.headDim]
    for (key, value) in zip(sliding, known) + zip(global, known) {
      guard let special = object.value[key], !special.isNull, special.integer != value else {
        continue
      }
      throw object.error(
        .unsupportedModel,
        "found \(escaped(special.shown, limit: 30)), and nothing says for which layers",
        key)
    }
  }

  private static func checkIndices(
    _ perLayer: ConfigurationObject, _ count: Int
  ) throws(ModelError) {
    for (key, value) in perLayer.value.children {
      guard let index = Int(key), String(index) == key, (0..<count).contains(index),
        value.kind == .object
      else {
        throw perLayer.error(
          .unsupportedModel, "expected objects for layers 0 to \(count - 1)",
          escaped(key, limit: 40))
      }
    }
  }

  /// Fails on keys that give heads or widths in a way that is not known.
  private static func checkKeys(_ object: ConfigurationObject) throws(ModelError) {
    let known = Set(own + sliding + global)
    for (key, value) in object.members where !known.contains(key) {
      let name = key.lowercased()
      let isOfHeads =
        ["head_dim", "kv_heads", "key_value_heads", "kv_channels", "kv_dim"].contains(
          where: name.contains) || name.hasPrefix("swa_") && name.contains("head")
      guard isOfHeads, !others.contains(where: name.contains) else { continue }
      throw object.error(
        .unsupportedModel,
        "found \(escaped(value.shown, limit: 30)), a size of heads that is not known",
        key)
    }
  }
}

/// The elements of both.
private func + <Left, Right>(
  left: Zip2Sequence<[Left], [Right]>, right: Zip2Sequence<[Left], [Right]>
) -> [(Left, Right)] { Array(left) + Array(right) }
