extension ModelFamily {
  /// Mistral's block with a mixture of experts in each layer.
  static let mixtral = ModelFamily("mixtral") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let shape = try ModelShape(builder.root, .init(kvHeads: 8))
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim, defaults: .init(theta: 1_000_000))
    let window = try builder.window()
    let hidden = shape.hiddenSize
    let size = try builder.intermediateSize()
    let activation = try builder.activation("hidden_act")
    let (experts, perToken) = try builder.experts(
      "num_local_experts", "num_experts", layers: shape.layers, perToken: 2)
    return try builder.preNormDecoder(shape, epsilon: 1e-5) {
      builder, _, prefix throws(ModelError) in
      var attention = builder.separateAttention(prefix, shape, rotary: rotary)
      attention.slidingWindow = window
      return attention
    } feedForward: { builder, _, prefix throws(ModelError) in
      let mixture = prefix + "block_sparse_moe."
      return .mixture(
        MixtureDescription(
          router: builder.linear(mixture + "gate", experts, hidden), expertsPerToken: perToken,
          weighting: .softmaxThenTop(renormalise: true),
          experts: .separate(
            (0..<experts).map { expert in
              let name = mixture + "experts.\(expert)."
              return SeparateExpert(
                gate: builder.linear(name + "w1", size, hidden),
                up: builder.linear(name + "w3", size, hidden),
                down: builder.linear(name + "w2", hidden, size))
            }, activation: activation)))
    }
  }
}
