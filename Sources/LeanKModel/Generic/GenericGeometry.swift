import ByteIO
import LeanKMask
import StrictJSON

/// The geometry of a model that no family knows, from config.json and the shapes of its tensors.
///
/// Each alone is wrong of many models, so every layer needs both, and where they disagree there is no
/// geometry. What this does not tell is how the model computes: pairs are not guessed.
struct GenericGeometry {
  /// Keys of the language model.
  let text: ConfigurationObject
  let layers: [ModelGeometry.Layer]
  /// Heads of each layer that caches keys.
  let heads: [Int: HeadShape]
  let members: [Int: AttentionStack.Member]
  /// Layers whose query projection has more than the queries in it.
  let gated: Set<Int>
  let shapes: [String: [Int]]

  /// Fails with the key or the tensor that disagrees.
  init(_ configuration: ModelConfiguration, _ shapes: [String: [Int]]) throws(ModelError) {
    let text = try TextConfiguration(configuration.root)
    try text.checkAttention()
    let object = text.object
    let kinds = try LayerKind.kinds(object)
    let headShapes = try HeadShape.shapes(object, kinds)
    let total = headShapes.reduce(0) { $0 + $1.queryHeads }
    guard total <= ModelConfiguration.totalHeadLimit else {
      throw object.error(
        .outOfRange,
        "\(total) heads in all, at most \(ModelConfiguration.totalHeadLimit) are possible",
        "num_attention_heads")
    }
    let stack = try AttentionStack(shapes.keys)
    try stack.checkExtent(kinds.count, object)
    try stack.checkEmbedding(try WeightShapes(shapes, configuration))
    let shared = try Self.sharedLayers(configuration, text, kinds.count)
    let witness = Witness(
      hidden: try object.integer("hidden_size", in: 1...ModelConfiguration.sizeLimit),
      sharesValues: try object.bool("attention_k_eq_v", default: false),
      weights: try WeightShapes(shapes, configuration))
    let windows = try Windows(object)
    var layers: [ModelGeometry.Layer] = []
    var heads: [Int: HeadShape] = [:]
    var gated: Set<Int> = []
    for (index, (kind, shape)) in zip(kinds, headShapes).enumerated() {
      let member = stack.layers[index]
      guard kind != .without else {
        if let member {
          throw ModelError(
            .inconsistent,
            "tensor \(quoted(member.name)) gives keys, and by config.json layer \(index) has none")
        }
        layers.append(.withoutCache)
        continue
      }
      if shared.range.contains(index) {
        if let member, !shared.mayHaveKeys {
          throw object.error(
            .inconsistent,
            "layer \(index) has keys of its own, tensor \(quoted(member.name))", Self.sharedKey)
        }
        layers.append(.withoutCache)
        continue
      }
      guard let member else {
        throw ModelError(
          .missingKey, "layer \(index) has no tensor that gives keys, as other layers do")
      }
      let found = try witness.check(member, shape, layer: index)
      do throws(MaskError) {
        let geometry = try LayerGeometry(kvHeads: shape.kvHeads, headDim: shape.headDim)
        var layer = ModelGeometry.Layer(
          geometry: geometry, valueDim: shape.valueDim, keyNorm: found.norm, keyWeight: member.name)
        layer.slidingWindow = windows.width(of: kind)
        layers.append(layer)
      } catch {
        throw ModelError(.inconsistent, error.description)
      }
      heads[index] = shape
      if found.isGated { gated.insert(index) }
    }
    guard !heads.isEmpty else {
      throw object.error(.inconsistent, "no layer caches keys of heads", "num_hidden_layers")
    }
    self.text = object
    self.layers = layers
    self.heads = heads
    self.gated = gated
    members = stack.layers
    self.shapes = shapes
  }

  private static let sharedKey = "num_kv_shared_layers"

  /// The last layers, which use the keys of earlier ones, and whether their own may be there unused.
  private static func sharedLayers(
    _ configuration: ModelConfiguration, _ text: TextConfiguration, _ count: Int
  ) throws(ModelError) -> (range: Range<Int>, mayHaveKeys: Bool) {
    let shared = try text.object.optionalInteger(sharedKey, in: 0...count) ?? 0
    return (
      count - shared..<count, ModelFamily.keepsKeysOfSharedLayers(configuration.modelType)
    )
  }
}

extension AttentionStack.Member {
  /// The name that a plain weight has.
  var name: String { prefix + projection + ".weight" }
}

extension AttentionStack {
  /// Fails where tensors are of other layers than config.json counts. Past the end there may be those
  /// that predict further tokens, if it has a count of them.
  fileprivate func checkExtent(
    _ count: Int, _ object: ConfigurationObject
  ) throws(ModelError) {
    let key = "num_hidden_layers"
    if let missing = (0..<count).first(where: { !indices.contains($0) }) {
      throw object.error(
        .inconsistent, "\(count) layers, and no tensor is of layer \(missing)", key)
    }
    let further = object.members.reduce(0) { sum, member in
      let name = member.key.lowercased()
      guard name.contains("nextn") || name.contains("mtp"), let layers = member.value.integer,
        (0...64).contains(layers)
      else { return sum }
      return sum + layers
    }
    let extra = indices.sorted().first {
      $0 >= count && !(predictors.contains($0) && $0 < count + further)
    }
    guard let extra else { return }
    throw object.error(
      .inconsistent, "\(count) layers, and there are tensors of layer \(extra)", key)
  }
}

/// How many keys a query sees by a layer's kind.
private struct Windows {
  private let sliding: Int?
  private let chunk: Int?

  init(_ object: ConfigurationObject) throws(ModelError) {
    let range = 0...ModelConfiguration.sizeLimit
    sliding = try object.optionalInteger("sliding_window", in: range)
    chunk = try object.optionalInteger("attention_chunk_size", in: range)
  }

  /// nil = all keys before the query, or nothing says how many.
  func width(of kind: LayerKind) -> Int? {
    let width: Int? =
      switch kind {
      case .sliding: sliding
      case .chunked: chunk
      default: nil
      }
    return width.flatMap { $0 > 0 ? $0 : nil }
  }
}
