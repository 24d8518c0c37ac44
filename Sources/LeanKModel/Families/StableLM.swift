extension ModelFamily {
  /// Layer norms, RoPE over part of the head, optionally a norm for each head and a parallel block.
  static let stableLM = ModelFamily("stablelm") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(
      root, .init(kvHeads: 32, derivesHeadDim: true, vocabularySize: 50_304))
    let hidden = shape.hiddenSize
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim, defaults: .init(partial: 0.25))
    let bias = try root.bool("use_qkv_bias", default: false)
    let normsHeads = try root.bool("qk_layernorm", default: false)
    let isParallel = try root.bool("use_parallel_residual", default: false)
    let epsilon = try builder.epsilon("layer_norm_eps", default: 1e-5)
    let size = try builder.intermediateSize()
    let activation = try builder.activation("hidden_act")
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "model.layers.\(index)."
      var attention = builder.separateAttention(
        prefix + "self_attn.", shape, bias: bias, rotary: rotary)
      if normsHeads {
        attention.queryKeyNorm = builder.headNormList(
          prefix + "self_attn.", shape, epsilon: epsilon)
      }
      let input = builder.layerNorm(
        prefix + "input_layernorm", [hidden], bias: true, epsilon: epsilon)
      // A parallel block norms its input once, for both of its halves.
      let second =
        isParallel
        ? input
        : builder.layerNorm(
          prefix + "post_attention_layernorm", [hidden], bias: true, epsilon: epsilon)
      layers.append(
        LayerDescription(
          attention: attention,
          feedForward: builder.gated(
            prefix + "mlp.", hidden: hidden, intermediate: size, activation: activation),
          block: BlockDescription(
            isParallel: isParallel, attentionNorm: input, feedForwardNorm: second)))
    }
    return try builder.assemble(
      shape, layers: layers,
      finalNorm: builder.layerNorm("model.norm", [hidden], bias: true, epsilon: epsilon))
  }
}

extension DescriptionBuilder {
  fileprivate mutating func headNormList(
    _ prefix: String, _ shape: ModelShape, epsilon: Float
  ) -> QueryKeyNorm {
    var lists: [[NormDescription]] = []
    for (name, heads) in [("q_layernorm", shape.queryHeads), ("k_layernorm", shape.kvHeads)] {
      lists.append(
        (0..<heads).map { head in
          layerNorm(
            prefix + "\(name).norms.\(head)", [shape.headDim], bias: false, epsilon: epsilon)
        })
    }
    return .listPerHead(query: lists[0], key: lists[1])
  }
}
