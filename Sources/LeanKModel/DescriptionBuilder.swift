import ByteIO
import LeanKMask

/// Puts descriptions together and keeps account of the shape each named tensor has to have.
struct DescriptionBuilder {
  /// Of the language model.
  var configuration: ModelConfiguration
  let tensorNames: Set<String>
  /// From the names of a language model by itself to those on disk.
  var naming = TensorNaming()
  private(set) var shapes: [String: [Int]] = [:]

  var root: ConfigurationObject { configuration.root }

  init(configuration: ModelConfiguration, tensorNames: Set<String>) {
    self.configuration = configuration
    self.tensorNames = tensorNames
  }

  /// A tensor of the given name and shape; returns its name on disk.
  mutating func tensor(_ name: String, _ shape: [Int]) -> String {
    let name = naming(name)
    shapes[name] = shape
    return name
  }

  /// A projection `[rows, columns]` called `name.weight`, with `name.bias` if it has one.
  mutating func linear(
    _ name: String, _ rows: Int, _ columns: Int, bias: Bool = false
  ) -> LinearDescription {
    LinearDescription(
      weight: tensor(name + ".weight", [rows, columns]),
      bias: bias ? tensor(name + ".bias", [rows]) : nil)
  }

  /// RMS normalisation with the weight `name.weight`.
  mutating func rootMeanSquare(
    _ name: String, _ width: Int, epsilon: Float, weightOffset: Float = 0
  ) -> NormDescription {
    NormDescription(
      .rootMeanSquare, weight: tensor(name + ".weight", [width]), epsilon: epsilon,
      weightOffset: weightOffset)
  }

  /// Layer normalisation with the weight `name.weight`.
  mutating func layerNorm(
    _ name: String, _ shape: [Int], bias: Bool, epsilon: Float
  ) -> NormDescription {
    NormDescription(
      .layer, weight: tensor(name + ".weight", shape),
      bias: bias ? tensor(name + ".bias", shape) : nil, epsilon: epsilon)
  }

  /// Attention with one tensor each for Q, K, V and the output: `prefix` + `q_proj` and so on.
  mutating func separateAttention(
    _ prefix: String, _ shape: ModelShape, bias: Bool = false, outputBias: Bool = false,
    scale: Float? = nil, rotary: RotaryDescription?
  ) -> AttentionDescription {
    let width = shape.headDim
    var parts: [HeadRows] = []
    for (name, heads) in [
      ("q_proj", shape.queryHeads), ("k_proj", shape.kvHeads), ("v_proj", shape.kvHeads),
    ] {
      let projection = linear(prefix + name, heads * width, shape.hiddenSize, bias: bias)
      parts.append(
        .consecutive(
          weight: projection.weight, bias: projection.bias, heads: heads, headDim: width))
    }
    return AttentionDescription(
      queryHeads: shape.queryHeads, kvHeads: shape.kvHeads, headDim: width, query: parts[0],
      key: parts[1], value: parts[2],
      output: linear(
        prefix + "o_proj", shape.hiddenSize, shape.queryHeads * width, bias: outputBias),
      scale: scale ?? shape.scale, rotary: rotary)
  }

  /// Attention with Q, K and V in one tensor; the closures give the block of head_dim rows in which
  /// a head lies.
  mutating func fusedAttention(
    _ name: String, output: String, _ shape: ModelShape, bias: Bool = false,
    rotary: RotaryDescription?, query: (Int) -> Int, key: (Int) -> Int, value: (Int) -> Int
  ) -> AttentionDescription {
    let width = shape.headDim
    let blocks = shape.queryHeads + 2 * shape.kvHeads
    let fused = linear(name, blocks * width, shape.hiddenSize, bias: bias)
    func heads(_ count: Int, _ block: (Int) -> Int) -> HeadRows {
      HeadRows(
        weight: fused.weight, bias: fused.bias,
        heads: (0..<count).map { block($0) * width..<(block($0) + 1) * width })
    }
    return AttentionDescription(
      queryHeads: shape.queryHeads, kvHeads: shape.kvHeads, headDim: width,
      query: heads(shape.queryHeads, query), key: heads(shape.kvHeads, key),
      value: heads(shape.kvHeads, value),
      output: linear(output, shape.hiddenSize, shape.queryHeads * width, bias: bias),
      scale: shape.scale, rotary: rotary)
  }

  /// `down(activation(gate x) * up x)` with a tensor each, named under `prefix`.
  mutating func gated(
    _ prefix: String, hidden: Int, intermediate: Int, bias: Bool = false, activation: Activation
  ) -> FeedForwardDescription {
    .gated(
      gate: linear(prefix + "gate_proj", intermediate, hidden, bias: bias),
      up: linear(prefix + "up_proj", intermediate, hidden, bias: bias),
      down: linear(prefix + "down_proj", hidden, intermediate, bias: bias),
      activation: activation)
  }

  /// The same with gate and up stacked in `gate_up_proj`.
  mutating func stackedGated(
    _ prefix: String, hidden: Int, intermediate: Int, activation: Activation
  ) -> FeedForwardDescription {
    let stacked = linear(prefix + "gate_up_proj", 2 * intermediate, hidden)
    var gate = stacked
    var up = stacked
    gate.rows = 0..<intermediate
    up.rows = intermediate..<2 * intermediate
    return .gated(
      gate: gate, up: up, down: linear(prefix + "down_proj", hidden, intermediate),
      activation: activation)
  }

  /// The output projection `name`, or the embedding where the file does not hold one: whether the
  /// two are tied is decided by that, since config.json may leave the key out.
  mutating func outputHead(
    _ name: String = "lm_head", embedding: String, _ shape: ModelShape
  ) -> LinearDescription {
    guard tensorNames.contains(naming(name + ".weight")) else {
      return LinearDescription(weight: embedding)
    }
    return linear(name, shape.vocabularySize, shape.hiddenSize)
  }

  // MARK: - Configuration

  func epsilon(_ key: String, default fallback: Double) throws(ModelError) -> Float {
    let value = try root.number(key, default: fallback)
    guard value >= 0 else {
      throw root.error(.outOfRange, "expected 0 or more, found \(value)", key)
    }
    return Float(value)
  }

  /// `nested` is the class's default, which a `text_config` leaves out.
  func intermediateSize(
    _ key: String = "intermediate_size", default fallback: Int? = nil, nested: Int? = nil
  ) throws(ModelError) -> Int {
    try root.integer(
      key, in: 1...ModelConfiguration.sizeLimit, default: root.isNested ? nested : fallback)
  }

  /// Experts of each layer, and how many of them a token goes to.
  func experts(
    _ keys: String..., layers: Int
  ) throws(ModelError) -> (count: Int, perToken: Int) {
    let key = keys.first(where: root.contains) ?? keys[0]
    let count = try root.integer(key, in: 1...ModelConfiguration.totalHeadLimit / layers)
    return (count, try root.integer("num_experts_per_tok", in: 1...count))
  }

  func window(default fallback: Int? = nil) throws(ModelError) -> Int? {
    try root.optionalInteger(
      "sliding_window", in: 1...ModelConfiguration.sizeLimit, default: fallback)
  }

  func activation(
    _ keys: String..., default fallback: Activation = .silu
  ) throws(ModelError) -> Activation {
    guard let key = keys.first(where: root.contains) else { return fallback }
    let name = try root.string(key)
    switch name {
    case "silu", "swish": return .silu
    case "gelu": return .gelu
    case "gelu_pytorch_tanh", "gelu_new": return .geluTanh
    case "relu": return .relu
    default:
      throw root.error(.unsupportedModel, "activation \(quoted(name)) is not supported", key)
    }
  }

  /// For each layer whether its attention slides: from `layer_types`, else from `pattern`.
  func slidingLayers(
    _ layers: Int, else pattern: (Int) -> Bool
  ) throws(ModelError) -> [Bool] {
    guard let types = try root.optionalStrings("layer_types") else {
      return (0..<layers).map(pattern)
    }
    guard types.count == layers else {
      throw root.error(
        .inconsistent, "\(types.count) entries for \(layers) layers", "layer_types")
    }
    return try types.map { type throws(ModelError) in
      switch type {
      case "sliding_attention": return true
      case "full_attention": return false
      default:
        throw root.error(
          .unsupportedModel, "layer type \(quoted(type)) is not supported", "layer_types")
      }
    }
  }
}
