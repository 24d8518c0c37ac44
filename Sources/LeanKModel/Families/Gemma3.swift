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
    let pattern =
      try root.contains("layer_types")
      ? 1
      : root.integer(
        "sliding_window_pattern", in: 1...ModelConfiguration.sizeLimit, default: 6)
    // Within a wrapper a mask that slides is made for layers that do alone.
    let window =
      root.isNested
      ? try builder.window(default: 4096) : try builder.givenWindow(default: 4096)
    let windows = try builder.slidingWindows(
      shape.layers, window
    ) { !($0 + 1).isMultiple(of: pattern) }
    let wide = try builder.configuration.rotary(
      headDim: shape.headDim, layerType: "full_attention", takesScaling: true,
      defaults: .init(theta: 1_000_000))
    let narrow = try builder.configuration.rotary(
      headDim: shape.headDim, layerType: "sliding_attention", takesScaling: false,
      defaults: .init(thetaKey: "rope_local_base_freq"))
    let bias = try root.bool("attention_bias", default: false)
    let scale = try builder.queryScale()
    let epsilon = try builder.epsilon("rms_norm_eps", default: 1e-6)
    var model = try builder.gemmaDecoder(shape) { builder, layer, prefix in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, scale: scale,
        rotary: windows[layer] == nil ? wide : narrow)
      attention.slidingWindow = windows[layer]
      attention.queryKeyNorm = builder.sharedHeadNorms(
        prefix, shape, epsilon: epsilon, weightOffset: 1)
      return attention
    }
    model.logitSoftcap = try builder.softcap("final_logit_softcapping", default: nil)
    return model
  }
}
