extension ModelFamily {
  /// Gemma 2's block with normed queries and keys, and another RoPE base on sliding layers.
  static let gemma3 = ModelFamily("gemma3_text") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(
      root,
      .init(
        kvHeads: 4, headDim: 256, vocabularySize: 262_208,
        nested: .init(hidden: 2304, layers: 26, heads: 8)))
    let key =
      root.contains("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern"
    let pattern = try root.integer(key, in: 1...ModelConfiguration.sizeLimit, default: 6)
    let sliding = try builder.slidingLayers(shape.layers) { !($0 + 1).isMultiple(of: pattern) }
    let window = try builder.window(default: 4096)
    let wide = try builder.configuration.rotary(
      headDim: shape.headDim, layerType: "full_attention", defaults: .init(theta: 1_000_000))
    let narrow = try builder.slidingRotary(shape)
    let softcap = try builder.softcap("attn_logit_softcapping", default: nil)
    let bias = try root.bool("attention_bias", default: false)
    let scale = try builder.queryScale()
    let epsilon = try builder.epsilon("rms_norm_eps", default: 1e-6)
    var model = try builder.gemmaDecoder(shape) { builder, layer, prefix in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, scale: scale,
        rotary: sliding[layer] ? narrow : wide)
      attention.scoreSoftcap = softcap
      attention.slidingWindow = sliding[layer] ? window : nil
      attention.queryKeyNorm = builder.sharedHeadNorms(
        prefix, shape, epsilon: epsilon, weightOffset: 1)
      return attention
    }
    model.logitSoftcap = try builder.softcap("final_logit_softcapping", default: nil)
    return model
  }
}

extension DescriptionBuilder {
  /// RoPE of the sliding layers: nested in `rope_parameters`, or unscaled with the base
  /// `rope_local_base_freq`.
  fileprivate func slidingRotary(_ shape: ModelShape) throws(ModelError) -> RotaryDescription {
    if try root.object("rope_parameters")?.contains("sliding_attention") ?? false {
      return try configuration.rotary(headDim: shape.headDim, layerType: "sliding_attention")
    }
    var rotary = try configuration.rotary(headDim: shape.headDim, layerType: "full_attention")
    rotary.theta = try root.positive("rope_local_base_freq", default: 10_000)
    rotary.scaling = .default
    return rotary
  }
}
