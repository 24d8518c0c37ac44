extension ModelFamily {
  /// Soft caps, four norms a layer, and a window on every other layer.
  static let gemma2 = ModelFamily("gemma2") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(
      builder.root, .init(kvHeads: 4, headDim: 256, vocabularySize: 256_000))
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let windows = try builder.slidingWindows(
      shape.layers, try builder.givenWindow(default: 4096)
    ) { $0.isMultiple(of: 2) }
    let softcap = try builder.softcap("attn_logit_softcapping", default: 50)
    let bias = try builder.root.bool("attention_bias", default: false)
    let scale = try builder.queryScale()
    var model = try builder.gemmaDecoder(shape) { builder, layer, prefix in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, scale: scale, rotary: rotary)
      attention.scoreSoftcap = softcap
      attention.slidingWindow = windows[layer]
      return attention
    }
    model.logitSoftcap = try builder.softcap("final_logit_softcapping", default: 30)
    return model
  }
}

extension DescriptionBuilder {
  /// What Gemma 2 and 3 share: embeddings times sqrt(hidden), norms that store weight - 1, one
  /// before and one after both attention and feed-forward.
  mutating func gemmaDecoder(
    _ shape: ModelShape,
    attention: (inout DescriptionBuilder, Int, String) -> AttentionDescription
  ) throws(ModelError) -> ModelDescription {
    guard try !root.bool("use_bidirectional_attention", default: false) else {
      throw root.error(
        .unsupportedModel, "attention to later tokens has no K cache to prune",
        "use_bidirectional_attention")
    }
    let hidden = shape.hiddenSize
    let epsilon = try epsilon("rms_norm_eps", default: 1e-6)
    let size = try intermediateSize(nested: 9216)
    let activation = try activation("hidden_activation", default: .geluTanh)
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "model.layers.\(index)."
      let norms = [
        "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
      ].map { rootMeanSquare(prefix + $0, hidden, epsilon: epsilon, weightOffset: 1) }
      layers.append(
        LayerDescription(
          attention: attention(&self, index, prefix + "self_attn."),
          feedForward: gated(
            prefix + "mlp.", hidden: hidden, intermediate: size, activation: activation),
          block: BlockDescription(
            attentionNorm: norms[0], attentionOutputNorm: norms[1], feedForwardNorm: norms[2],
            feedForwardOutputNorm: norms[3])))
    }
    var model = try assemble(
      shape, layers: layers,
      finalNorm: rootMeanSquare("model.norm", hidden, epsilon: epsilon, weightOffset: 1),
      ties: true)
    model.embeddingScale = Float(Double(hidden).squareRoot())
    return model
  }

  /// `query_pre_attn_scalar` to the power of -1/2.
  func queryScale() throws(ModelError) -> Float {
    Float(1 / (try root.positive("query_pre_attn_scalar", default: 256)).squareRoot())
  }

  /// A soft cap; null switches it off, an absent key means `default`.
  func softcap(_ key: String, default fallback: Double?) throws(ModelError) -> Float? {
    guard let cap = try root.optionalNumber(key, default: fallback) else { return nil }
    guard cap > 0 else {
      throw root.error(.outOfRange, "expected a number above 0, found \(cap)", key)
    }
    return Float(cap)
  }
}
