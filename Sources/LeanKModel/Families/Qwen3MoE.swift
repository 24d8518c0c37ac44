extension ModelFamily {
  /// Qwen 3's attention with a mixture of experts in all layers but those listed.
  static let qwen3MoE = ModelFamily("qwen3_moe") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(root, .init(kvHeads: 4, vocabularySize: 151_936))
    let hidden = shape.hiddenSize
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let window =
      try root.bool("use_sliding_window", default: false) ? try builder.window(default: 4096) : nil
    let bias = try root.bool("attention_bias", default: false)
    let epsilon = try builder.epsilon("rms_norm_eps", default: 1e-6)
    let activation = try builder.activation("hidden_act")
    let (experts, perToken) = try builder.experts(
      "num_experts", "num_local_experts", layers: shape.layers, perToken: 8)
    let expertSize = try builder.intermediateSize("moe_intermediate_size")
    let renormalise = try root.bool("norm_topk_prob", default: false)
    let step = try root.integer("decoder_sparse_step", in: 1...shape.layers, default: 1)
    let dense = Set(try root.optionalIntegers("mlp_only_layers") ?? [])

    return try builder.preNormDecoder(shape, epsilon: 1e-6) {
      builder, _, prefix throws(ModelError) in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, rotary: rotary)
      attention.slidingWindow = window
      attention.queryKeyNorm = builder.sharedHeadNorms(prefix, shape, epsilon: epsilon)
      return attention
    } feedForward: { builder, layer, prefix throws(ModelError) in
      guard !dense.contains(layer), (layer + 1).isMultiple(of: step) else {
        return builder.gated(
          prefix + "mlp.", hidden: hidden, intermediate: try builder.intermediateSize(),
          activation: activation)
      }
      return .mixture(
        MixtureDescription(
          router: builder.linear(prefix + "mlp.gate", experts, hidden), expertsPerToken: perToken,
          weighting: .softmaxThenTop(renormalise: renormalise),
          experts: .separate(
            (0..<experts).map { expert in
              let name = prefix + "mlp.experts.\(expert)."
              return SeparateExpert(
                gate: builder.linear(name + "gate_proj", expertSize, hidden),
                up: builder.linear(name + "up_proj", expertSize, hidden),
                down: builder.linear(name + "down_proj", hidden, expertSize))
            }, activation: activation)))
    }
  }
}
