extension ModelFamily {
  /// Llama's block with one sliding window for all layers.
  static let mistral = ModelFamily("mistral") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    // With this key it is the family below, unless it is inside a wrapper.
    let isMinistral = builder.root.mentions("layer_types") && !builder.root.isNested
    return try builder.mistralDecoder(followingTypes: isMinistral)
  }

  /// Mistral's block in which some layers slide.
  static let ministral = ModelFamily("ministral") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    try builder.mistralDecoder(followingTypes: true)
  }
}

extension DescriptionBuilder {
  fileprivate mutating func mistralDecoder(
    followingTypes: Bool
  ) throws(ModelError) -> ModelDescription {
    let shape = try ModelShape(root, .init(kvHeads: 8))
    let rotary = try configuration.rotary(headDim: shape.headDim)
    let windows =
      followingTypes
      ? try slidingWindows(shape.layers, try givenWindow(default: 4096)) { _ in true }
      : [Int?](repeating: try window(default: 4096), count: shape.layers)
    return try preNormDecoder(
      shape, epsilon: 1e-6, nestedIntermediateSize: 14_336
    ) { builder, layer, prefix throws(ModelError) in
      var attention = builder.separateAttention(prefix, shape, rotary: rotary)
      attention.slidingWindow = windows[layer]
      return attention
    }
  }
}
