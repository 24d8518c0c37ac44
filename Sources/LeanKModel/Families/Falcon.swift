extension ModelFamily {
  /// Three fused layouts behind two flags: groups [q.. k v] (new), [q.. | k | v] with one KV head
  /// (multi-query), and [q k v] for each head.
  static let falcon = ModelFamily("falcon") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    guard try !root.bool("alibi", default: false) else {
      throw root.error(.unsupportedModel, "ALiBi position biases are not supported", "alibi")
    }
    let isNew = try root.bool("new_decoder_architecture", default: false)
    let isMultiQuery = try root.bool("multi_query", default: true)
    // Multi-query files carry `num_kv_heads` too, and do not go by it.
    let shape = try ModelShape(
      root,
      .init(
        derivesHeadDim: true, hiddenSizeKey: root.contains("n_embed") ? "n_embed" : "hidden_size",
        vocabularySize: 65_024)
    ) {
      queryHeads throws(ModelError) in
      guard isNew || !isMultiQuery else { return 1 }
      let heads =
        try root.optionalInteger("num_kv_heads", in: 1...ModelConfiguration.headLimit) ?? queryHeads
      guard isNew || heads == queryHeads else {
        throw root.error(
          .inconsistent,
          "\(heads) KV heads for \(queryHeads) query heads, of which each has its own",
          "num_kv_heads")
      }
      return heads
    }
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let bias = try root.bool("bias", default: false)
    let size =
      try root.optionalInteger("ffn_hidden_size", in: 1...4 * ModelConfiguration.sizeLimit)
      ?? 4 * shape.hiddenSize
    let activation = try builder.activation("activation", default: .gelu)
    let blocks = try FalconBlocks(builder, isNew: isNew)

    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "transformer.h.\(index)."
      let group = shape.queryHeads / shape.kvHeads
      let isGrouped = isNew || !isMultiQuery
      let heads = shape.queryHeads
      layers.append(
        LayerDescription(
          attention: builder.fusedAttention(
            prefix + "self_attention.query_key_value", output: prefix + "self_attention.dense",
            shape, bias: bias, rotary: rotary,
            query: { isGrouped ? $0 / group * (group + 2) + $0 % group : $0 },
            key: { isGrouped ? $0 * (group + 2) + group : heads },
            value: { isGrouped ? $0 * (group + 2) + group + 1 : heads + 1 }),
          feedForward: .plain(
            up: builder.linear(
              prefix + "mlp.dense_h_to_4h", size, shape.hiddenSize, bias: bias),
            down: builder.linear(
              prefix + "mlp.dense_4h_to_h", shape.hiddenSize, size, bias: bias),
            activation: activation),
          block: blocks.block(&builder, prefix, width: shape.hiddenSize)))
    }
    return try builder.assemble(
      shape, layers: layers,
      finalNorm: builder.layerNorm(
        "transformer.ln_f", [shape.hiddenSize], bias: true, epsilon: blocks.epsilon),
      embedding: "transformer.word_embeddings", ties: true)
  }
}

/// Which norms a Falcon block has and whether it is parallel.
private struct FalconBlocks {
  let epsilon: Float
  private let isParallel: Bool
  private let hasTwoInputNorms: Bool

  init(_ builder: DescriptionBuilder, isNew: Bool) throws(ModelError) {
    let root = builder.root
    let parallelAttention = try root.bool("parallel_attn", default: true)
    guard parallelAttention || !isNew else {
      throw root.error(
        .unsupportedModel, "new_decoder_architecture without parallel_attn is not supported",
        "parallel_attn")
    }
    let norms =
      try root.optionalInteger("num_ln_in_parallel_attn", in: 1...2) ?? (isNew ? 2 : 1)
    guard isNew || !parallelAttention || norms == 1 else {
      throw root.error(
        .unsupportedModel, "two norms without new_decoder_architecture are not supported",
        "num_ln_in_parallel_attn")
    }
    isParallel = parallelAttention
    hasTwoInputNorms = isNew && norms == 2
    epsilon = try builder.epsilon("layer_norm_epsilon", default: 1e-5)
  }

  func block(
    _ builder: inout DescriptionBuilder, _ prefix: String, width: Int
  ) -> BlockDescription {
    let first = builder.layerNorm(
      prefix + (hasTwoInputNorms ? "ln_attn" : "input_layernorm"), [width], bias: true,
      epsilon: epsilon)
    var second = first
    if hasTwoInputNorms || !isParallel {
      second = builder.layerNorm(
        prefix + (hasTwoInputNorms ? "ln_mlp" : "post_attention_layernorm"), [width], bias: true,
        epsilon: epsilon)
    }
    return BlockDescription(
      isParallel: isParallel, attentionNorm: first, feedForwardNorm: second)
  }
}
