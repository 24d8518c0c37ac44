extension ModelFamily {
  /// Qwen 2's block with an RMS norm on each head of Q and K.
  static let qwen3 = ModelFamily("qwen3") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(
      builder.root, .init(kvHeads: 32, headDim: 128, vocabularySize: 151_936))
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let windows = try builder.qwenWindows(shape)
    let bias = try builder.root.bool("attention_bias", default: false)
    let epsilon = try builder.epsilon("rms_norm_eps", default: 1e-6)
    return try builder.preNormDecoder(
      shape, epsilon: 1e-6, nestedIntermediateSize: 22_016
    ) { builder, layer, prefix throws(ModelError) in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, rotary: rotary)
      attention.slidingWindow = windows[layer]
      attention.queryKeyNorm = builder.sharedHeadNorms(prefix, shape, epsilon: epsilon)
      return attention
    }
  }
}

extension DescriptionBuilder {
  /// RMS norms of `head_dim` weights that all heads share: `q_norm` and `k_norm`.
  mutating func sharedHeadNorms(
    _ prefix: String, _ shape: ModelShape, epsilon: Float, weightOffset: Float = 0
  ) -> QueryKeyNorm {
    .sharedPerHead(
      query: rootMeanSquare(
        prefix + "q_norm", shape.headDim, epsilon: epsilon, weightOffset: weightOffset),
      key: rootMeanSquare(
        prefix + "k_norm", shape.headDim, epsilon: epsilon, weightOffset: weightOffset))
  }
}
