import LeanKMask

extension ModelFamily {
  /// A parallel block with one layer norm, interleaved RoPE, optionally a norm row for each head.
  static let cohere = ModelFamily("cohere") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(root, .init(vocabularySize: 256_000))
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim, pairing: .interleaved, defaults: .init(theta: 500_000))
    let bias = try root.bool("attention_bias", default: false)
    let normsHeads = try root.bool("use_qk_norm", default: false)
    let epsilon = try builder.epsilon("layer_norm_eps", default: 1e-5)
    return try builder.cohereDecoder(shape, epsilon: epsilon) { builder, _, prefix in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, rotary: rotary)
      if normsHeads {
        attention.queryKeyNorm = .ownPerHead(
          query: builder.layerNorm(
            prefix + "q_norm", [shape.queryHeads, shape.headDim], bias: false, epsilon: epsilon),
          key: builder.layerNorm(
            prefix + "k_norm", [shape.kvHeads, shape.headDim], bias: false, epsilon: epsilon))
      }
      return attention
    }
  }
}

extension DescriptionBuilder {
  /// What Cohere's two generations share: the parallel block and the factor on the logits.
  mutating func cohereDecoder(
    _ shape: ModelShape, epsilon: Float,
    attention: (inout DescriptionBuilder, Int, String) -> AttentionDescription
  ) throws(ModelError) -> ModelDescription {
    let hidden = shape.hiddenSize
    let size = try intermediateSize(nested: 22_528)
    let activation = try activation("hidden_act")
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "model.layers.\(index)."
      let norm = layerNorm(prefix + "input_layernorm", [hidden], bias: false, epsilon: epsilon)
      layers.append(
        LayerDescription(
          attention: attention(&self, index, prefix + "self_attn."),
          feedForward: gated(
            prefix + "mlp.", hidden: hidden, intermediate: size, activation: activation),
          block: BlockDescription(
            isParallel: true, attentionNorm: norm, feedForwardNorm: norm)))
    }
    var model = try assemble(
      shape, layers: layers,
      finalNorm: layerNorm("model.norm", [hidden], bias: false, epsilon: epsilon), ties: true)
    model.logitScale = Float(try root.number("logit_scale", default: 0.0625))
    return model
  }
}
