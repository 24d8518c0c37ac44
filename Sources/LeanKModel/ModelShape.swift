import ByteIO

/// Sizes that every decoder has.
struct ModelShape: Sendable {
  /// What a family's class in transformers assumes where a key is absent.
  struct Defaults {
    /// nil = as many as query heads.
    var kvHeads: Int?
    /// nil = hidden_size / heads.
    var headDim: Int?
    /// Whether the class goes by hidden_size / heads whatever `head_dim` says.
    var derivesHeadDim = false
    var hiddenSizeKey = "hidden_size"
    var vocabularySize = 32_000
    /// Assumed in a `text_config` only, where transformers leaves out what is the default; other
    /// files have to say it.
    var nested = Sizes(hidden: 4096, layers: 32, heads: 32)
  }

  struct Sizes {
    var hidden: Int
    var layers: Int
    var heads: Int
  }

  let hiddenSize: Int
  let layers: Int
  let queryHeads: Int
  let kvHeads: Int
  let headDim: Int
  let vocabularySize: Int

  /// Reads the sizes; `kvHeads` from a closure of the query heads for families that name them
  /// otherwise.
  ///
  /// An explicit head_dim wins; else it is hidden_size / heads, which then has to divide.
  init(
    _ root: ConfigurationObject, _ defaults: Defaults = Defaults(),
    kvHeads given: ((_ queryHeads: Int) throws(ModelError) -> Int)? = nil
  ) throws(ModelError) {
    let heads = 1...ModelConfiguration.headLimit
    let nested = root.isNested ? defaults.nested : nil
    hiddenSize = try root.integer(
      defaults.hiddenSizeKey, in: 1...ModelConfiguration.sizeLimit, default: nested?.hidden)
    layers = try root.integer(
      "num_hidden_layers", in: 1...ModelConfiguration.layerLimit, default: nested?.layers)
    queryHeads = try root.integer("num_attention_heads", in: heads, default: nested?.heads)
    if let given {
      kvHeads = try given(queryHeads)
    } else {
      kvHeads =
        try root.optionalInteger(
          "num_key_value_heads", in: heads, default: defaults.kvHeads) ?? queryHeads
    }
    guard queryHeads.isMultiple(of: kvHeads) else {
      throw root.error(
        .inconsistent, "\(queryHeads) query heads are not a multiple of \(kvHeads) KV heads",
        "num_key_value_heads")
    }
    guard layers * queryHeads <= ModelConfiguration.totalHeadLimit else {
      throw root.error(
        .outOfRange,
        "\(layers) layers of \(queryHeads) heads, at most \(ModelConfiguration.totalHeadLimit) heads "
          + "in all are possible", "num_attention_heads")
    }
    try root.checkLayerTypes(layers)
    let widths = 1...ModelConfiguration.headDimLimit
    if let explicit = try root.optionalInteger("head_dim", in: widths, default: defaults.headDim) {
      headDim = explicit
      guard !defaults.derivesHeadDim || hiddenSize == explicit * queryHeads else {
        throw root.error(
          .unsupportedModel,
          "\(explicit) channels a head, and this family has hidden_size / num_attention_heads of them, "
            + "which is \(hiddenSize) / \(queryHeads)", "head_dim")
      }
    } else {
      guard hiddenSize.isMultiple(of: queryHeads), widths.contains(hiddenSize / queryHeads) else {
        throw root.error(
          .inconsistent,
          "hidden_size \(hiddenSize) does not divide into \(queryHeads) heads of up to "
            + "\(widths.upperBound) channels, and no head_dim is given", "head_dim")
      }
      headDim = hiddenSize / queryHeads
    }
    vocabularySize = try root.integer(
      "vocab_size", in: 1...ModelConfiguration.sizeLimit, default: defaults.vocabularySize)
  }

  /// 1/sqrt(head_dim), the usual scale of scores.
  var scale: Float { Float(1 / Double(headDim).squareRoot()) }
}
