import LeanKMask

extension ModelFamily {
  /// Models that put pictures before a language model whose own configuration is nested in
  /// `text_config`. Only that language model has a K cache of text; all else is copied.
  static let wrapper = ModelFamily(
    "gemma3", "mistral3", "llava", "llava_next", "llava_next_video", "llava_onevision",
    "vipllava", "internvl", "aya_vision", "cohere2_vision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"
  ) { (builder: inout DescriptionBuilder) throws(ModelError) in
    let outer = builder.configuration
    let wrapper = Wrapper.named[outer.modelType] ?? Wrapper()
    // Qwen's first files have the language model's keys beside those of the vision tower.
    guard let text = try outer.nested("text_config", else: wrapper.text) else {
      guard wrapper.hasThreePositions else {
        throw builder.root.error(.missingKey, "the key is missing", "text_config")
      }
      return try builder.describeText(outer, wrapper)
    }
    return try builder.describeText(text, wrapper)
  }
}

/// What a wrapper's class says of the language model inside.
private struct Wrapper {
  /// The language model where `text_config` does not name one.
  var text = "llama"
  /// Default of the wrapper's own `tie_word_embeddings`, which is the one that counts.
  var ties = false
  /// Whether the one in `text_config` is heard where the wrapper's is not true.
  var hearsText = true
  /// Qwen's: the language model goes by a name of its own, but computes what `text` does, since for
  /// text the three positions of its rotation are one.
  var hasThreePositions = false
  /// Whether the channels are cut into sections, one for each of the positions.
  var cutsSections = false

  static let named: [String: Wrapper] = [
    "gemma3": Wrapper(text: "gemma3_text", ties: true, hearsText: false),
    "mistral3": Wrapper(text: "mistral", ties: true, hearsText: false),
    "llava_onevision": Wrapper(text: "qwen2"),
    "internvl": Wrapper(text: "qwen2", ties: true, hearsText: false),
    "aya_vision": Wrapper(text: "cohere2", ties: true, hearsText: false),
    "cohere2_vision": Wrapper(text: "cohere2", ties: true, hearsText: false),
    "qwen2_vl": Wrapper(text: "qwen2", hasThreePositions: true, cutsSections: true),
    "qwen2_5_vl": Wrapper(text: "qwen2", hasThreePositions: true, cutsSections: true),
    "qwen3_vl": Wrapper(text: "qwen3", hasThreePositions: true),
  ]
}

extension DescriptionBuilder {
  /// Describes the language model `text`, whose tensors lie under the wrapper's prefix.
  fileprivate mutating func describeText(
    _ text: ModelConfiguration, _ wrapper: Wrapper
  ) throws(ModelError) -> ModelDescription {
    let name = configuration.modelType
    let key = "tie_word_embeddings"
    var isTied = try root.bool(key, default: wrapper.ties)
    if wrapper.hearsText, !isTied { isTied = try text.root.bool(key, default: false) }
    tying = isTied
    let text =
      wrapper.hasThreePositions ? text.reading(as: wrapper.text, hasThreePositions: true) : text
    let family = try ModelFamily.of(text)
    guard family.modelTypes != ModelFamily.wrapper.modelTypes else {
      throw root.error(
        .unsupportedModel, "a wrapper inside a wrapper is not supported", "text_config")
    }
    configuration = text
    naming = TensorNaming(findingIn: tensorNames)
    var model = try family.describe(&self)
    if wrapper.cutsSections { try checkSections(model) }
    model.modelType = name
    // A wrapper's class has an output projection of its own, and does no more to the logits.
    model.logitScale = 1
    model.logitSoftcap = nil
    return model
  }
}

extension DescriptionBuilder {
  /// Fails where the sections of the three positions do not make up the rotated pairs: for text that
  /// would change nothing, but transformers does not run it.
  fileprivate func checkSections(_ model: ModelDescription) throws(ModelError) {
    let key = "mrope_section"
    var object = try root.object("rope_scaling")
    if object?.isEmpty ?? true { object = try root.object("rope_parameters") }
    let sections = try object?.optionalIntegers(key) ?? [16, 24, 24]
    let pairs = (model.layers.first?.attention.rotary?.geometry.width ?? 0) / 2
    guard sections.allSatisfy({ (0...pairs).contains($0) }), sections.reduce(0, +) == pairs else {
      throw (object ?? root).error(
        .inconsistent, "expected sections of \(pairs) pairs in all, found \(sections)", key)
    }
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
