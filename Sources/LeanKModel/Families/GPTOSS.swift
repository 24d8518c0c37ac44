import RealModule

extension ModelFamily {
  /// Attention sinks, biases everywhere, a window on every other layer, and experts in two tensors.
  static let gptOSS = ModelFamily("gpt_oss") {
    (builder: inout DescriptionBuilder) throws(ModelError) in
    let root = builder.root
    let shape = try ModelShape(
      root, .init(kvHeads: 8, headDim: 64, vocabularySize: 201_088))
    let hidden = shape.hiddenSize
    let rotary = try builder.configuration.rotary(
      headDim: shape.headDim,
      defaults: .init(
        theta: 150_000,
        scaling: .yarn(
          factor: 32, originalPositions: 4096, betaFast: 32, betaSlow: 1, truncate: false,
          attentionFactor: 0.1 * Double.log(32) + 1)))
    let bias = try root.bool("attention_bias", default: true)
    let windows = try builder.slidingWindows(
      shape.layers, try builder.givenWindow(default: 128)
    ) { $0.isMultiple(of: 2) }
    let size = try builder.intermediateSize()
    let (experts, perToken) = try builder.experts(
      "num_local_experts", "num_experts", layers: shape.layers, perToken: 4)
    let alpha = Float(try root.number("swiglu_alpha", default: 1.702))
    let limit = Float(try root.positive("swiglu_limit", default: 7))
    return try builder.preNormDecoder(shape, epsilon: 1e-5) {
      builder, layer, prefix throws(ModelError) in
      var attention = builder.separateAttention(
        prefix, shape, bias: bias, outputBias: bias, rotary: rotary)
      attention.slidingWindow = windows[layer]
      attention.sinkLogits = builder.tensor(prefix + "sinks", [shape.queryHeads])
      return attention
    } feedForward: { builder, _, prefix throws(ModelError) in
      let name = prefix + "mlp.experts."
      return .mixture(
        MixtureDescription(
          router: builder.linear(prefix + "mlp.router", experts, hidden, bias: true),
          expertsPerToken: perToken, weighting: .topThenSoftmax,
          experts: .interleaved(
            gateUp: builder.tensor(name + "gate_up_proj", [experts, hidden, 2 * size]),
            gateUpBias: builder.tensor(name + "gate_up_proj_bias", [experts, 2 * size]),
            down: builder.tensor(name + "down_proj", [experts, size, hidden]),
            downBias: builder.tensor(name + "down_proj_bias", [experts, hidden]),
            alpha: alpha, limit: limit)))
    }
  }
}
