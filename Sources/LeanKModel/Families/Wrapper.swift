extension ModelFamily {
  /// Models that put pictures before a language model whose own configuration is nested in
  /// `text_config`. Only that language model has a K cache of text; all else is copied.
  static let wrapper = ModelFamily(
    "gemma3", "mistral3", "llava", "llava_next", "llava_next_video", "llava_onevision",
    "vipllava", "internvl", "aya_vision", "cohere2_vision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"
  ) { (builder: inout DescriptionBuilder) throws(ModelError) in
    let outer = builder.configuration
    // Qwen's first files have the language model's keys beside those of the vision tower.
    guard let text = try outer.nested("text_config", as: Self.textTypes[outer.modelType]) else {
      guard let type = Self.textTypes[outer.modelType] else {
        throw builder.root.error(.missingKey, "the key is missing", "text_config")
      }
      return try builder.describeText(outer.reading(as: type))
    }
    return try builder.describeText(text)
  }

  /// Language models that go by a name of their own inside a wrapper, and as what they compute: for
  /// text, the three positions of Qwen's rotation are one.
  private static let textTypes = [
    "qwen2_vl": "qwen2", "qwen2_5_vl": "qwen2", "qwen3_vl": "qwen3",
  ]
}

extension DescriptionBuilder {
  /// Describes the language model `text`, whose tensors lie under the wrapper's prefix.
  fileprivate mutating func describeText(
    _ text: ModelConfiguration
  ) throws(ModelError) -> ModelDescription {
    let wrapper = configuration.modelType
    let family = try ModelFamily.of(text)
    guard family.modelTypes != ModelFamily.wrapper.modelTypes else {
      throw root.error(
        .unsupportedModel, "a wrapper inside a wrapper is not supported", "text_config")
    }
    configuration = text
    naming = TensorNaming(findingIn: tensorNames)
    var model = try family.describe(&self)
    model.modelType = wrapper
    return model
  }
}

/// Where a wrapper keeps the tensors that a language model by itself has under `model.`.
struct TensorNaming {
  /// Takes the place of `model.`.
  private var inner = "model."
  /// Stands before every other name.
  private var outer = ""

  /// Names as they are.
  init() {}

  /// The spelling that `names` have: transformers 4 wrote the first, version 5 keeps what it loaded.
  init(findingIn names: Set<String>) {
    if names.contains(where: { $0.hasPrefix("language_model.model.") }) {
      inner = "language_model.model."
      outer = "language_model."
    } else if names.contains(where: { $0.hasPrefix("model.language_model.") }) {
      inner = "model.language_model."
    }
  }

  func callAsFunction(_ name: String) -> String {
    name.hasPrefix("model.") ? inner + name.dropFirst("model.".count) : outer + name
  }
}
