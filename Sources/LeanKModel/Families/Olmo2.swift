extension ModelFamily {
  /// Norms behind attention and feed-forward instead of before them; Q and K normed over all heads.
  static let olmo2 = ModelFamily("olmo2") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(builder.root, .init(vocabularySize: 50_304))
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let bias = try builder.root.bool("attention_bias", default: false)
    let epsilon = try builder.epsilon("rms_norm_eps", default: 1e-5)
    return try builder.postNormDecoder(shape, epsilon: epsilon) { builder, _, prefix in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, rotary: rotary)
      attention.queryKeyNorm = .acrossHeads(
        query: builder.rootMeanSquare(
          prefix + "q_norm", shape.queryHeads * shape.headDim, epsilon: epsilon),
        key: builder.rootMeanSquare(
          prefix + "k_norm", shape.kvHeads * shape.headDim, epsilon: epsilon))
      return attention
    }
  }
}

extension DescriptionBuilder {
  /// The block of OLMo 2 and EXAONE 4: RMS norms only on what attention and feed-forward put out.
  mutating func postNormDecoder(
    _ shape: ModelShape, epsilon: Float,
    attention: (inout DescriptionBuilder, Int, String) -> AttentionDescription
  ) throws(ModelError) -> ModelDescription {
    let hidden = shape.hiddenSize
    let size = try intermediateSize()
    let activation = try activation("hidden_act")
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "model.layers.\(index)."
      layers.append(
        LayerDescription(
          attention: attention(&self, index, prefix + "self_attn."),
          feedForward: gated(
            prefix + "mlp.", hidden: hidden, intermediate: size, activation: activation),
          block: BlockDescription(
            attentionOutputNorm: rootMeanSquare(
              prefix + "post_attention_layernorm", hidden, epsilon: epsilon),
            feedForwardOutputNorm: rootMeanSquare(
              prefix + "post_feedforward_layernorm", hidden, epsilon: epsilon))))
    }
    return try assemble(
      shape, layers: layers,
      finalNorm: rootMeanSquare("model.norm", hidden, epsilon: epsilon))
  }
}
