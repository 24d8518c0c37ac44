extension ModelFamily {
  /// Llama's block with one sliding window for all layers.
  static let mistral = ModelFamily("mistral") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(builder.root, .init(kvHeads: 8))
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let window = try builder.window(default: 4096)
    return try builder.preNormDecoder(
      shape, epsilon: 1e-6, nestedIntermediateSize: 14_336
    ) { builder, _, prefix throws(ModelError) in
      var attention = builder.separateAttention(prefix, shape, rotary: rotary)
      attention.slidingWindow = window
      return attention
    }
  }
}
