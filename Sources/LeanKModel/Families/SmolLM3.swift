extension ModelFamily {
  /// Llama's block in which some layers have no RoPE.
  static let smolLM3 = ModelFamily("smollm3") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(root, .init(kvHeads: 4, vocabularySize: 128_256))
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim, defaults: .init(theta: 2_000_000))
    let interval = try root.integer(
      "no_rope_layer_interval", in: 1...ModelConfiguration.sizeLimit, default: 4)
    // In spite of the name, 1 says that the layer has RoPE.
    let rotates =
      try root.optionalIntegers("no_rope_layers")
      ?? (0..<shape.layers).map { ($0 + 1).isMultiple(of: interval) ? 0 : 1 }
    guard rotates.count == shape.layers else {
      throw root.error(
        .inconsistent, "\(rotates.count) entries for \(shape.layers) layers", "no_rope_layers")
    }
    let bias = try root.bool("attention_bias", default: false)
    let isSliding = try root.bool("use_sliding_window", default: false)
    let window = try builder.window()
    let windows = try builder.slidingWindows(shape.layers, window) {
      isSliding && window != nil && rotates[$0] == 0
    }
    return try builder.preNormDecoder(
      shape, epsilon: 1e-6, feedForwardBias: try root.bool("mlp_bias", default: false),
      ties: true
    ) { builder, layer, prefix throws(ModelError) in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, rotary: rotates[layer] == 0 ? nil : rotary)
      attention.slidingWindow = windows[layer]
      return attention
    }
  }
}
