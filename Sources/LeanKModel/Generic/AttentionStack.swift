import ByteIO

/// The tensors of a decoder's attention: `PREFIX.layers.N.BLOCK.PROJECTION`, one stack of layers.
struct AttentionStack {
  /// One layer's projection of keys.
  struct Member {
    /// `PREFIX.layers.N.BLOCK.`
    let prefix: String
    /// `k_proj`, or the name of a tensor that holds queries, keys and values.
    let projection: String
    var isFused: Bool { projection != Self.separate }

    static let separate = "k_proj"
  }

  /// By index of the layer.
  let layers: [Int: Member]
  /// Every layer of the stack that has a tensor, and those that predict further tokens.
  let indices: Set<Int>
  let predictors: Set<Int>
  /// What the names of the stack's layers begin with, up to their number.
  let prefix: String

  private static let blocks: Set = ["self_attn", "attention", "attn", "mixer"]
  private static let fused: Set = ["qkv_proj", "query_key_value", "Wqkv", "qkv"]
  /// How the name of a weight ends, plain or packed.
  private static let endings: Set = ["weight", "qweight", "weight_packed"]
  /// Parts of a prefix that say that a stack is no language model's, or none that is run with it.
  private static let towers = [
    "vision", "visual", "image", "video", "audio", "speech", "encoder", "mtp", "nextn", "perceiver",
    "resampler", "connector", "projector", "draft", "talker", "code_predictor", "depth",
    "sam_model",
    "tower", "protein",
  ]

  /// Finds the one stack among tensors of these `names`. Fails where there are none or several.
  init(_ names: some Collection<String>) throws(ModelError) {
    var stacks: [String: [Int: Member]] = [:]
    for name in names {
      guard let (stack, layer, member) = Self.parse(name) else { continue }
      if let other = stacks[stack]?[layer], other.projection != member.projection {
        throw ModelError(
          .inconsistent,
          "tensors \(quoted(other.prefix + other.projection)) and \(quoted(name)) both give keys")
      }
      stacks[stack, default: [:]][layer] = member
    }
    func shown(_ stack: String) -> String {
      quoted(stack.split(separator: "\n").joined(separator: "N."))
    }
    guard let first = stacks.keys.min(), let layers = stacks[first] else {
      throw ModelError(
        .missingKey,
        "no tensor is called ...layers.N.self_attn.k_proj.weight, or with attention, attn or mixer for "
          + "self_attn, or qkv_proj or query_key_value for k_proj")
    }
    if let other = stacks.keys.filter({ $0 != first }).min() {
      throw ModelError(
        .inconsistent,
        "tensors under \(shown(first)) and \(shown(other)) both give keys, and one of them would have to "
          + "be the language model")
    }
    self.layers = layers
    let prefix = String(first.prefix { $0 != "\n" })
    self.prefix = prefix
    var indices: Set<Int> = []
    var predictors: Set<Int> = []
    for name in names where name.hasPrefix(prefix) {
      let rest = name.dropFirst(prefix.count).split(separator: ".")
      guard let index = rest.first.flatMap({ Int($0) }) else { continue }
      indices.insert(index)
      if rest.dropFirst().first == "eh_proj" { predictors.insert(index) }
    }
    self.indices = indices
    self.predictors = predictors
  }

  private static let embeddings: Set = [
    "embed_tokens", "embeddings", "embed_in", "word_embeddings", "wte", "tok_embeddings",
    "embedding", "embed",
  ]

  /// Fails where no embedding of tokens lies beside the stack, or around it: layers that see pictures
  /// or sounds go by the same names.
  func checkEmbedding(_ weights: WeightShapes) throws(ModelError) {
    let isThere = weights.shapes.contains { name, shape in
      let parts = name.split(separator: ".")
      guard shape.count == 2, parts.count >= 2, parts.last == "weight",
        Self.embeddings.contains(String(parts[parts.count - 2]))
      else { return false }
      let place = name.dropLast((parts[parts.count - 2] + ".weight").count)
      return prefix.hasPrefix(place)
    }
    guard !isThere else { return }
    throw ModelError(
      .missingKey,
      "no embedding of tokens, such as embed_tokens.weight, lies beside \(quoted(prefix + "N"))")
  }

  /// The stack, the layer and the member that a tensor belongs to, nil where it gives no keys.
  private static func parse(_ name: String) -> (stack: String, layer: Int, member: Member)? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 5, endings.contains(parts[parts.count - 1]),
      let layer = Int(parts[parts.count - 4]), String(layer) == parts[parts.count - 4],
      parts[parts.count - 5] == "layers", blocks.contains(parts[parts.count - 3])
    else { return nil }
    let projection = parts[parts.count - 2]
    guard projection == Member.separate || fused.contains(projection) else { return nil }
    let outer = parts.dropLast(5)
    let isTower = outer.indices.contains { index in
      let part = outer[index].lowercased()
      // Some language models call their own layers an encoder.
      if part == "encoder", outer[..<index].contains("language_model") { return false }
      return part == "vit" || towers.contains { part.contains($0) }
    }
    guard !isTower else { return nil }
    let before = parts.dropLast(4).joined(separator: ".") + "."
    let block = parts[parts.count - 3]
    return (
      before + "\n" + block, layer,
      Member(prefix: before + "\(layer).\(block).", projection: projection)
    )
  }
}
