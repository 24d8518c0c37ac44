extension ModelFamily {
  /// Q, K and V of each head side by side in one tensor, RoPE over part of the head, layer norms.
  static let gptNeoX = ModelFamily("gpt_neox") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(root, .init(derivesHeadDim: true, vocabularySize: 50_432)) { $0 }
    let hidden = shape.hiddenSize
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim,
      defaults: .init(partial: 0.25, thetaKey: "rotary_emb_base", partialKey: "rotary_pct"))
    let bias = try root.bool("attention_bias", default: true)
    let isParallel = try root.bool("use_parallel_residual", default: true)
    let epsilon = try builder.epsilon("layer_norm_eps", default: 1e-5)
    let size = try builder.intermediateSize()
    let activation = try builder.activation("hidden_act", default: .gelu)
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "gpt_neox.layers.\(index)."
      layers.append(
        LayerDescription(
          attention: builder.fusedAttention(
            prefix + "attention.query_key_value", output: prefix + "attention.dense", shape,
            bias: bias, rotary: rotary, query: { 3 * $0 }, key: { 3 * $0 + 1 },
            value: { 3 * $0 + 2 }),
          feedForward: .plain(
            up: builder.linear(prefix + "mlp.dense_h_to_4h", size, hidden, bias: true),
            down: builder.linear(prefix + "mlp.dense_4h_to_h", hidden, size, bias: true),
            activation: activation),
          block: BlockDescription(
            isParallel: isParallel,
            attentionNorm: builder.layerNorm(
              prefix + "input_layernorm", [hidden], bias: true, epsilon: epsilon),
            feedForwardNorm: builder.layerNorm(
              prefix + "post_attention_layernorm", [hidden], bias: true, epsilon: epsilon))))
    }
    return try builder.assemble(
      shape, layers: layers,
      finalNorm: builder.layerNorm(
        "gpt_neox.final_layer_norm", [hidden], bias: true, epsilon: epsilon),
      embedding: "gpt_neox.embed_in", outputHead: "embed_out")
  }
}
