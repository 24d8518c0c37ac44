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
    .llama, .mistral, .mixtral, .qwen2, .qwen3, .qwen3MoE, .phi3, .gemma2, .gemma3, .olmo2, .glm4,
    .granite, .starcoder2, .stableLM, .gptNeoX, .cohere, .cohere2, .falcon, .smolLM3, .gptOSS,
    .exaone4,
  ]

  /// Families whose language model is one of the others.
  public static let wrappers: [ModelFamily] = [.wrapper]

  /// Families that are known and cannot be pruned; describing one fails with the reason.
  static let refused: [ModelFamily] = [.latentAttention]

  /// The family of `configuration`. Fails on an unknown `model_type` with the list of known ones.
  public static func of(_ configuration: ModelConfiguration) throws(ModelError) -> ModelFamily {
    let type = configuration.modelType
    if let family = (all + wrappers + refused).first(where: { $0.modelTypes.contains(type) }) {
      return family
    }
    let text = try configuration.root.object("text_config")
    if ModelFamily.isLatent(configuration.root) || text.map(ModelFamily.isLatent) ?? false {
      return .latentAttention
    }
    let known = (all + wrappers).flatMap(\.modelTypes).sorted().joined(separator: ", ")
    throw configuration.root.error(
      .unknownModelType,
      (text == nil ? "" : "multimodal ")
        + "model_type \(quoted(type)) is not known; known are \(known)",
      "model_type")
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
    var builder = DescriptionBuilder(configuration: configuration, tensorNames: tensorNames)
    description = try ModelFamily.of(configuration).describe(&builder)
    shapes = builder.shapes
  }
}
