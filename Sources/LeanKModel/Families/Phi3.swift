extension ModelFamily {
  /// Llama's block with Q, K and V in one tensor, and gate and up in another.
  static let phi3 = ModelFamily("phi3") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(builder.root, .init(vocabularySize: 32_064))
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim, defaults: .init(partial: 1, phiPositions: 4096))
    let window = try builder.window()
    let size = try builder.intermediateSize()
    let activation = try builder.activation("hidden_act")
    return try builder.preNormDecoder(shape, epsilon: 1e-5) {
      builder, _, prefix throws(ModelError) in
      var attention = builder.fusedAttention(
        prefix + "qkv_proj", output: prefix + "o_proj", shape, rotary: rotary,
        query: { $0 }, key: { shape.queryHeads + $0 },
        value: { shape.queryHeads + shape.kvHeads + $0 })
      attention.slidingWindow = window
      return attention
    } feedForward: { builder, _, prefix throws(ModelError) in
      builder.stackedGated(
        prefix + "mlp.", hidden: shape.hiddenSize, intermediate: size, activation: activation)
    }
  }
}
