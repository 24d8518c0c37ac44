import LeanKMask

extension ModelFamily {
  /// Interleaved RoPE over part of the head, four norms a layer, gate and up in one tensor.
  static let glm4 = ModelFamily("glm4") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(
      builder.root, .init(kvHeads: 2, headDim: 128, vocabularySize: 151_552))
    let hidden = shape.hiddenSize
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim, pairing: .interleaved, defaults: .init(partial: 0.5))
    let bias = try builder.root.bool("attention_bias", default: true)
    let epsilon = try builder.epsilon("rms_norm_eps", default: 1.5625e-07)
    let size = try builder.intermediateSize()
    let activation = try builder.activation("hidden_act")
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "model.layers.\(index)."
      let norms = [
        "input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm",
        "post_mlp_layernorm",
      ].map { builder.rootMeanSquare(prefix + $0, hidden, epsilon: epsilon) }
      layers.append(
        LayerDescription(
          attention: builder.separateAttention(
            prefix + "self_attn.", shape, bias: bias, rotary: rotary),
          feedForward: builder.stackedGated(
            prefix + "mlp.", hidden: hidden, intermediate: size, activation: activation),
          block: BlockDescription(
            attentionNorm: norms[0], attentionOutputNorm: norms[1], feedForwardNorm: norms[2],
            feedForwardOutputNorm: norms[3])))
    }
    return try builder.assemble(
      shape, layers: layers,
      finalNorm: builder.rootMeanSquare("model.norm", hidden, epsilon: epsilon))
  }
}
