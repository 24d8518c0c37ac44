extension ModelFamily {
  /// Layer norms, biases everywhere, a plain feed-forward and one window for all layers.
  static let starcoder2 = ModelFamily("starcoder2") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(builder.root, .init(kvHeads: 2, vocabularySize: 49_152))
    let hidden = shape.hiddenSize
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let bias = try builder.root.bool("use_bias", default: true)
    let window = try builder.window()
    let epsilon = try builder.epsilon("norm_epsilon", default: 1e-5)
    let size = try builder.intermediateSize()
    let activation = try builder.activation("hidden_act", default: .geluTanh)
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "model.layers.\(index)."
      var attention = builder.separateAttention(
        prefix + "self_attn.", shape, bias: bias, outputBias: bias, rotary: rotary)
      attention.slidingWindow = window
      layers.append(
        LayerDescription(
          attention: attention,
          feedForward: .plain(
            up: builder.linear(prefix + "mlp.c_fc", size, hidden, bias: bias),
            down: builder.linear(prefix + "mlp.c_proj", hidden, size, bias: bias),
            activation: activation),
          block: BlockDescription(
            attentionNorm: builder.layerNorm(
              prefix + "input_layernorm", [hidden], bias: true, epsilon: epsilon),
            feedForwardNorm: builder.layerNorm(
              prefix + "post_attention_layernorm", [hidden], bias: true, epsilon: epsilon))))
    }
    return try builder.assemble(
      shape, layers: layers,
      finalNorm: builder.layerNorm("model.norm", [hidden], bias: true, epsilon: epsilon),
      ties: true)
  }
}
