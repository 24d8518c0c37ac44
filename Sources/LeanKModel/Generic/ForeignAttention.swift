import ByteIO
import StrictJSON

extension TextConfiguration {
  /// Fails on keys by which a model caches something other than the keys of its heads, one time for
  /// each layer, or attends in another way than a decoder does.
  func checkAttention() throws(ModelError) {
    for object in objects {
      if ModelFamily.isLatent(object) {
        throw object.error(
          .unsupportedModel, "latent attention caches one latent a token and no keys of heads",
          "kv_lora_rank")
      }
      for (key, value) in object.members { try object.checkAttention(key, value) }
    }
  }
}

extension ConfigurationObject {
  fileprivate func checkAttention(_ key: String, _ value: JSONValue) throws(ModelError) {
    let name = key.lowercased()
    func has(_ parts: String...) -> Bool { parts.contains { name.contains($0) } }
    if key == "is_encoder_decoder" || key == "add_cross_attention", value.bool == true {
      throw error(.unsupportedModel, "an encoder's keys are cached beside the decoder's", key)
    }
    let isMasked = value.values.contains { $0.string?.contains("MaskedLM") ?? false }
    if key == "architectures", isMasked {
      throw error(.unsupportedModel, "an encoder caches no keys", key)
    }
    let isForImages = value.string == "vision"
    if has("bidirectional"), value.bool == true || value.string != nil, !isForImages {
      throw error(.unsupportedModel, "attention that looks ahead", key)
    }
    if key == "is_causal" || key == "causal" || key == "use_causal_mask", value.bool == false {
      throw error(.unsupportedModel, "attention that looks ahead", key)
    }
    if has("loop", "recurren", "cycle", "repeat", "ut_steps"), let count = value.largest,
      count > 1
    {
      throw error(
        .unsupportedModel,
        "found \(escaped(value.shown, limit: 40)): layers that run more than once may cache keys each "
          + "time", key)
    }
    let isOff = value.bool == false || value.double == 0 || value.count == 0 && value.isContainer
    guard !isOff else { return }
    let sharesKeys =
      has("kv") && has("shar", "source", "reuse") || has("use_cla", "cla_share", "yoco")
      || has("cross_layer")
    if sharesKeys, key != "num_kv_shared_layers" {
      throw error(.unsupportedModel, "layers that may share keys in a way that is not known", key)
    }
    if has("cross_attention_layers", "linear_attn_config") {
      throw error(.unsupportedModel, "layers whose attention is of another kind", key)
    }
  }
}

extension JSONValue {
  var isContainer: Bool { kind == .array || kind == .object }

  /// The number, or the largest one of a list; nil where there is none.
  fileprivate var largest: Double? {
    kind == .array ? values.compactMap(\.double).max() : double
  }

  /// A scalar or list for a message.
  var shown: String {
    switch kind {
    case .string: string ?? ""
    case .number: numberText ?? ""
    case .bool: bool == true ? "true" : "false"
    case .array: "[" + values.prefix(8).map(\.shown).joined(separator: ", ") + "]"
    default: kind.rawValue
    }
  }
}
