import ByteIO
import LeanKMask

/// Puts descriptions together and keeps account of the shape each named tensor has to have.
struct DescriptionBuilder {
  /// Of the language model.
  var configuration: ModelConfiguration
  let tensorNames: Set<String>
  /// From the names of a language model by itself to those on disk.
  var naming = TensorNaming()
  /// Whether a wrapper says that its language model's embeddings are tied; nil = that says so itself.
  var tying: Bool?
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

  /// Token embedding and output projection. Where both are stored, each is itself, whatever
  /// `tie_word_embeddings` says; where one is, it is both if the key (or `ties`, the class's default)
  /// says so, and else the file is not whole.
  mutating func embeddings(
    _ embedding: String, _ head: String, _ shape: ModelShape, ties: Bool
  ) throws(ModelError) -> (embedding: String, head: LinearDescription) {
    let size = [shape.vocabularySize, shape.hiddenSize]
    let key = "tie_word_embeddings"
    let isTied = if let tying { tying } else { try root.bool(key, default: ties) }
    let hasHead = tensorNames.contains(naming(head + ".weight"))
    let hasEmbedding = tensorNames.contains(naming(embedding + ".weight"))
    if isTied, hasHead, !hasEmbedding {
      let name = tensor(head + ".weight", size)
      return (name, LinearDescription(weight: name))
    }
    let name = tensor(embedding + ".weight", size)
    if isTied, !hasHead { return (name, LinearDescription(weight: name)) }
    guard hasHead || !hasEmbedding else {
      throw root.error(
        .inconsistent,
        "the output projection is not the embedding (\(root.contains(key) ? "" : "default ")false), and "
          + "no tensor \(quoted(naming(head + ".weight"))) is there: the checkpoint is not whole, or the "
          + "key ought to be true", key)
    }
    return (name, linear(head, size[0], size[1]))
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
  /// The first key is the class's own, the others are names that stand for it, and win.
  func experts(
    _ keys: String..., layers: Int, perToken fallback: Int
  ) throws(ModelError) -> (count: Int, perToken: Int) {
    let key = keys.last(where: root.mentions) ?? keys[0]
    let count = try root.integer(key, in: 1...ModelConfiguration.totalHeadLimit / layers)
    return (count, try root.integer("num_experts_per_tok", in: 1...count, default: fallback))
  }

  /// The window in a family that has one, whether or not a layer slides.
  func givenWindow(default fallback: Int) throws(ModelError) -> Int {
    try root.integer("sliding_window", in: 1...ModelConfiguration.sizeLimit, default: fallback)
  }

  func window(default fallback: Int? = nil) throws(ModelError) -> Int? {
    try root.optionalInteger(
      "sliding_window", in: 1...ModelConfiguration.sizeLimit, default: fallback)
  }

  /// The activation under the one key that the family's class reads.
  func activation(
    _ key: String, default fallback: Activation = .silu
  ) throws(ModelError) -> Activation {
    guard root.mentions(key) else { return fallback }
    let name = try root.string(key)
    switch name {
    case "silu", "swish": return .silu
    case "gelu", "gelu_python": return .gelu
    case "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new", "gelu_fast", "gelu_accurate":
      return .geluTanh
    case "relu": return .relu
    default: return .other(name)
    }
  }

  /// The window of each layer, nil where it sees all before it: `window` in those that slide by
  /// `layer_types`, else by `pattern`.
  func slidingWindows(
    _ layers: Int, _ window: Int?, else pattern: (Int) -> Bool
  ) throws(ModelError) -> [Int?] {
    func sliding() throws(ModelError) -> Int? {
      guard let window else {
        throw root.error(
          .unsupportedModel, "layers slide, and there is no window in use", "sliding_window")
      }
      return window
    }
    guard let types = try root.optionalStrings("layer_types") else {
      return try (0..<layers).map { layer throws(ModelError) in
        pattern(layer) ? try sliding() : nil
      }
    }
    return try types.map { type throws(ModelError) in
      switch type {
      case "sliding_attention": return try sliding()
      // The first is what version 5 calls the second.
      case "full_attention", "attention": return nil
      default:
        throw root.error(
          .unsupportedModel, "layer type \(quoted(type)) is not supported", "layer_types")
      }
    }
  }
}
