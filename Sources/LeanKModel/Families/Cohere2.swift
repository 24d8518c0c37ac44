import LeanKMask

extension ModelFamily {
  /// Cohere's block without head norms: sliding layers have RoPE, the others neither.
  static let cohere2 = ModelFamily("cohere2") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(
      root,
      .init(vocabularySize: 256_000, nested: .init(hidden: 8192, layers: 40, heads: 64)))
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim, pairing: .interleaved)
    let bias = try root.bool("attention_bias", default: false)
    let pattern =
      try root.contains("layer_types")
      ? 1
      : root.integer(
        "sliding_window_pattern", in: 1...ModelConfiguration.sizeLimit, default: 4)
    let windows = try builder.slidingWindows(
      shape.layers, try builder.givenWindow(default: 4096)
    ) { !($0 + 1).isMultiple(of: pattern) }
    let epsilon = try builder.epsilon("layer_norm_eps", default: 1e-5)
    return try builder.cohereDecoder(shape, epsilon: epsilon) { builder, layer, prefix in
      let own = windows[layer]
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, rotary: own == nil ? nil : rotary)
      attention.slidingWindow = own
      return attention
    }
  }
}
