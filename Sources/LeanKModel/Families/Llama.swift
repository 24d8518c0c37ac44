extension ModelFamily {
  /// Llama 1 to 3: RMS norms before attention and a gated feed-forward, RoPE over the whole head.
  static let llama = ModelFamily("llama") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(root)
    let rotary = try builder.configuration.rotary(headDim: shape.headDim)
    let bias = try root.bool("attention_bias", default: false)
    return try builder.preNormDecoder(
      shape, epsilon: 1e-6, intermediateSize: 11_008, nestedIntermediateSize: 11_008,
      feedForwardBias: try root.bool("mlp_bias", default: false)
    ) { builder, _, prefix throws(ModelError) in
      builder.separateAttention(prefix, shape, bias: bias, outputBias: bias, rotary: rotary)
    }
  }
}

extension DescriptionBuilder {
  /// The block that Llama and its many kin share: RMS norms before attention and feed-forward.
  ///
  /// `attention` gets the layer's index and the prefix of its attention tensors; `feedForward`, where
  /// given, the index and the prefix of the layer.
  mutating func preNormDecoder(
    _ shape: ModelShape, epsilon defaultEpsilon: Double,
    intermediateSize defaultSize: Int? = nil, nestedIntermediateSize nestedSize: Int? = nil,
    feedForwardBias: Bool = false, ties: Bool = false,
    attention: (inout DescriptionBuilder, Int, String) throws(ModelError)
      -> AttentionDescription,
    feedForward: (
      (inout DescriptionBuilder, Int, String) throws(ModelError) -> FeedForwardDescription
    )? = nil
  ) throws(ModelError) -> ModelDescription {
    let hidden = shape.hiddenSize
    let epsilon = try epsilon("rms_norm_eps", default: defaultEpsilon)
    var layers: [LayerDescription] = []
    for index in 0..<shape.layers {
      let prefix = "model.layers.\(index)."
      let own: FeedForwardDescription
      if let feedForward {
        own = try feedForward(&self, index, prefix)
      } else {
        own = gated(
          prefix + "mlp.", hidden: hidden,
          intermediate: try intermediateSize(default: defaultSize, nested: nestedSize),
          bias: feedForwardBias,
          activation: try activation("hidden_act"))
      }
      layers.append(
        LayerDescription(
          attention: try attention(&self, index, prefix + "self_attn."), feedForward: own,
          block: BlockDescription(
            attentionNorm: rootMeanSquare(prefix + "input_layernorm", hidden, epsilon: epsilon),
            feedForwardNorm: rootMeanSquare(
              prefix + "post_attention_layernorm", hidden, epsilon: epsilon))))
    }
    return try assemble(
      shape, layers: layers,
      finalNorm: rootMeanSquare("model.norm", hidden, epsilon: epsilon), ties: ties)
  }

  /// A model of `layers` with the usual names around them; `ties` is the class's default of
  /// `tie_word_embeddings`.
  mutating func assemble(
    _ shape: ModelShape, layers: [LayerDescription], finalNorm: NormDescription,
    embedding: String = "model.embed_tokens", outputHead: String = "lm_head", ties: Bool = false
  ) throws(ModelError) -> ModelDescription {
    let ends = try embeddings(embedding, outputHead, shape, ties: ties)
    return ModelDescription(
      modelType: configuration.modelType, hiddenSize: shape.hiddenSize,
      vocabularySize: shape.vocabularySize, embedding: ends.embedding, layers: layers,
      finalNorm: finalNorm, outputHead: ends.head)
  }
}
