extension ModelFamily {
  /// Llama's block with biases on Q, K and V, and a window from some layer on.
  static let qwen2 = ModelFamily("qwen2") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(builder.root, .init(kvHeads: 32, vocabularySize: 151_936))
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let windows = try builder.qwenWindows(shape)
    return try builder.preNormDecoder(
      shape, epsilon: 1e-6, nestedIntermediateSize: 22_016
    ) { builder, layer, prefix throws(ModelError) in
      var attention = builder.separateAttention(prefix, shape, bias: true, rotary: rotary)
      attention.slidingWindow = windows[layer]
      return attention
    }
  }
}

extension DescriptionBuilder {
  /// Window of each layer: none unless `use_sliding_window`, and then from layer
  /// `max_window_layers` on where `layer_types` does not say.
  func qwenWindows(_ shape: ModelShape) throws(ModelError) -> [Int?] {
    let isUsed = try root.bool("use_sliding_window", default: false)
    let window = isUsed ? try window(default: 4096) : nil
    let first = try root.integer(
      "max_window_layers", in: 0...ModelConfiguration.sizeLimit, default: 28)
    return try slidingWindows(shape.layers, window) { window != nil && $0 >= first }
  }
}
