extension ModelFamily {
  /// OLMo 2's block with normed heads; where some layers slide, the others have no RoPE.
  static let exaone4 = ModelFamily("exaone4") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(builder.root, .init(kvHeads: 32, vocabularySize: 102_400))
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let window = try builder.window(default: 4096)
    // The pattern is a word in some files, so it is read only where `layer_types` is absent.
    let hasTypes = builder.root.contains("layer_types")
    guard hasTypes || window != nil else {
      throw builder.root.error(
        .unsupportedModel, "without a window the layers need layer_types, which are missing",
        "sliding_window")
    }
    let pattern =
      hasTypes ? 0 : try builder.root.integer("sliding_window_pattern", in: 1...4096, default: 4)
    let windows = try builder.slidingWindows(shape.layers, window) {
      pattern > 0 && !($0 + 1).isMultiple(of: pattern)
    }
    let epsilon = try builder.epsilon("rms_norm_eps", default: 1e-5)
    return try builder.postNormDecoder(shape, epsilon: epsilon) { builder, layer, prefix in
      let rotates = window == nil || windows[layer] != nil
      var attention = builder.separateAttention(prefix, shape, rotary: rotates ? rotary : nil)
      attention.slidingWindow = windows[layer]
      attention.queryKeyNorm = builder.sharedHeadNorms(prefix, shape, epsilon: epsilon)
      return attention
    }
  }
}
