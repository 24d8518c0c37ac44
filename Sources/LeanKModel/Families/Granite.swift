extension ModelFamily {
  /// Llama's block with four multipliers: on embeddings, scores, residuals and logits.
  static let granite = ModelFamily("granite") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(root)
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let bias = try root.bool("attention_bias", default: false)
    let scale = Float(try root.number("attention_multiplier", default: 1))
    var model = try builder.preNormDecoder(
      shape, epsilon: 1e-6, feedForwardBias: try root.bool("mlp_bias", default: false)
    ) { builder, _, prefix throws(ModelError) in
      builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, scale: scale, rotary: rotary)
    }
    model.embeddingScale = Float(try root.number("embedding_multiplier", default: 1))
    model.logitScale = Float(1 / (try root.positive("logits_scaling", default: 1)))
    let residual = Float(try root.number("residual_multiplier", default: 1))
    for index in model.layers.indices { model.layers[index].block.residualMultiplier = residual }
    return model
  }
}
