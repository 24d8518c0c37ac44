public import ByteIO

/// An architecture: which `model_type`s it covers and how config.json becomes a description.
///
/// What differs between architectures stands in the family's file and nowhere else.
public struct ModelFamily: Sendable {
  /// Values of `model_type` in config.json.
  public let modelTypes: [String]
  let describe: @Sendable (inout DescriptionBuilder) throws(ModelError) -> ModelDescription

  init(
    _ modelTypes: String...,
    describe:
      @escaping @Sendable (inout DescriptionBuilder) throws(ModelError)
      -> ModelDescription
  ) {
    self.modelTypes = modelTypes
    self.describe = describe
  }

  /// Every family leank knows, the refused ones apart.
  public static let all: [ModelFamily] = [
    .llama, .mistral, .ministral, .mixtral, .qwen2, .qwen3, .qwen3MoE, .phi3, .gemma2, .gemma3,
    .olmo2, .glm4,
    .granite, .starcoder2, .stableLM, .gptNeoX, .cohere, .cohere2, .falcon, .smolLM3, .gptOSS,
    .exaone4,
  ]

  /// Families whose language model is one of the others.
  public static let wrappers: [ModelFamily] = [.wrapper]

  /// Families that are known and cannot be pruned; describing one fails with the reason.
  static let refused: [ModelFamily] = [.latentAttention]

  /// The family of `configuration`. Fails on an unknown `model_type` with the nearest way out.
  public static func of(_ configuration: ModelConfiguration) throws(ModelError) -> ModelFamily {
    guard let family = try known(configuration) else { throw try unknown(configuration) }
    return family
  }

  /// The family of `configuration`, nil of an unknown `model_type`.
  private static func known(
    _ configuration: ModelConfiguration
  ) throws(ModelError) -> ModelFamily? {
    let type = configuration.modelType
    if let family = (all + wrappers + refused).first(where: { $0.modelTypes.contains(type) }) {
      return family
    }
    let text = try configuration.root.object("text_config")
    if ModelFamily.isLatent(configuration.root) || text.map(ModelFamily.isLatent) ?? false {
      return .latentAttention
    }
    return nil
  }

  /// The error of an unknown `model_type`, with why its geometry cannot be told either, where that has
  /// been tried.
  static func unknown(
    _ configuration: ModelConfiguration, because reason: String? = nil
  ) throws(ModelError) -> ModelError {
    let type = configuration.modelType
    let isMultimodal = try configuration.root.object("text_config") != nil
    let cause = reason.map {
      ", and its cache cannot be told from config.json and tensors: " + $0
    }
    return configuration.root.error(
      .unknownModelType,
      (isMultimodal ? "multimodal " : "") + "model_type \(quoted(type)) is not known"
        + (cause ?? "") + "; " + wayOut(type, isMultimodal: isMultimodal), "model_type")
  }

  /// What to do about a `model_type` that is not known.
  private static func wayOut(_ type: String, isMultimodal: Bool) -> String {
    let names = (isMultimodal ? wrappers : all).flatMap(\.modelTypes)
    if let near = nearest(to: type, among: names) {
      return
        "nearest is \(near): if the model computes what that does, name it in a copy of config.json"
    }
    if isMultimodal {
      return "save its language model by itself, if that is of a known type"
    }
    return "masks can be imported, inspected and exported without it"
  }

  /// The name most like `name`, nil where none begins as it does or differs in few letters.
  static func nearest(to name: String, among names: [String]) -> String? {
    let name = Array(name.lowercased().utf8.prefix(64))
    let stem = name.prefix { (0x61...0x7A).contains($0) }
    let scored = names.map { (name: $0, distance: distance(name, Array($0.utf8))) }
    let near = scored.filter { candidate in
      candidate.distance <= 2
        || stem.count >= 4
          && candidate.name.utf8.prefix { (0x61...0x7A).contains($0) }
            .elementsEqual(stem)
    }
    // A name that continues a known one is likelier of its kin than one of like length.
    return near.min { left, right in
      let isRoot = [left, right].map { name.starts(with: $0.name.utf8) }
      return isRoot[0] == isRoot[1]
        ? (left.distance, left.name) < (right.distance, right.name) : isRoot[0]
    }?.name
  }

  /// Letters to change, put in or leave out to make one of the other.
  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (index, letter) in left.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in right.indices {
        let change = diagonal + (right[column] == letter ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(change, row[column + 1] + 1, row[column] + 1)
      }
    }
    return row[right.count]
  }
}

/// A model's description and the shape that each tensor it names has to have.
public struct DescribedModel: Sendable, Hashable {
  public let description: ModelDescription
  /// Shapes in the dense checkpoint, by tensor name.
  public let shapes: [String: [Int]]

  /// Describes the model of `configuration` whose files hold the tensors `tensorNames`.
  ///
  /// Only names are looked at, to tell tied embeddings from untied ones; shapes are the caller's
  /// to compare.
  public init(
    configuration: ModelConfiguration, tensorNames: Set<String>
  ) throws(ModelError) {
    let family = try ModelFamily.of(configuration)
    try configuration.root.checkUniform()
    if let text = try? configuration.root.object("text_config") { try text.checkUniform() }
    var builder = DescriptionBuilder(configuration: configuration, tensorNames: tensorNames)
    description = try family.describe(&builder)
    shapes = builder.shapes
  }
}
