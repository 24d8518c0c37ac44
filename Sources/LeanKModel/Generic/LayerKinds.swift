import ByteIO
import StrictJSON

/// What a layer caches, as config.json says.
enum LayerKind: Hashable {
  /// Keys of all tokens.
  case full
  /// Keys; no word says whether of all tokens.
  case unnamed
  /// Keys within `sliding_window`.
  case sliding
  /// Keys within `attention_chunk_size`.
  case chunked
  /// No keys of heads.
  case without

  /// The words that transformers and the hub's files have for layers of a kind that is known.
  private static let words: [String: LayerKind] = [
    "full_attention": .full, "attention": .full, "global_attention": .full, "global": .full,
    "hybrid": .full,
    "sliding_attention": .sliding, "hybrid_sliding": .sliding,
    "local_attention": .sliding, "local": .sliding,
    "chunked_attention": .chunked,
    "linear_attention": .without, "mamba": .without, "mamba2": .without, "conv": .without,
    "moe": .without, "mlp": .without,
  ]
  private static let letters: [Character: LayerKind] = [
    "*": .full, "M": .without, "E": .without, "-": .without,
  ]

  /// The kind of each layer. Fails on a word that is not known, and on keys that contradict each
  /// other.
  static func kinds(_ object: ConfigurationObject) throws(ModelError) -> [LayerKind] {
    let count = try object.optionalInteger(
      "num_hidden_layers", in: 1...ModelConfiguration.layerLimit)
    var found: [(key: String, kinds: [LayerKind])] = []
    for key in ["layer_types", "layers_block_type"] {
      guard let words = try object.optionalStrings(key) else { continue }
      var kinds: [LayerKind] = []
      for word in words {
        guard let kind = Self.words[word] else {
          throw object.error(.unsupportedModel, "layer type \(quoted(word)) is not known", key)
        }
        kinds.append(kind)
      }
      found.append((key, kinds))
    }
    let pattern = "hybrid_override_pattern"
    if let text = try object.optionalString(pattern) {
      var kinds: [LayerKind] = []
      for letter in text {
        guard let kind = Self.letters[letter] else {
          throw object.error(
            .unsupportedModel, "layer type \(quoted(String(letter))) is not known", pattern)
        }
        kinds.append(kind)
      }
      found.append((pattern, kinds))
    }
    guard let first = found.first else {
      guard let count else {
        throw object.error(.missingKey, "the key is missing", "num_hidden_layers")
      }
      return try untyped(object, count)
    }
    for (key, kinds) in found.dropFirst()
    where kinds.map({ $0 == .without }) != first.kinds.map({ $0 == .without }) {
      throw object.error(.inconsistent, "other layers cache keys than by \(first.key)", key)
    }
    guard count == nil || count == first.kinds.count, !first.kinds.isEmpty,
      first.kinds.count <= ModelConfiguration.layerLimit
    else {
      throw object.error(
        .inconsistent, "\(first.kinds.count) entries for \(count ?? 0) layers", first.key)
    }
    try object.checkUnknownLists(first.kinds.count)
    return first.kinds
  }

  /// The kinds where no list has a word for each layer.
  private static func untyped(
    _ object: ConfigurationObject, _ count: Int
  ) throws(ModelError) -> [LayerKind] {
    try object.checkUnknownLists(count)
    var found: [(key: String, cached: [Bool])] = []
    let (period, offset) = ("attn_layer_period", "attn_layer_offset")
    if let length = try object.optionalInteger(period, in: 1...ModelConfiguration.layerLimit) {
      let first = try object.integer(offset, in: 0...length - 1)
      found.append((period, (0..<count).map { $0 % length == first }))
    }
    for key in ["attn_layer_indices", "full_attn_idxs"] {
      guard let indices = try object.optionalIntegers(key) else { continue }
      guard indices.allSatisfy((0..<count).contains) else {
        throw object.error(.outOfRange, "\(count) layers, found \(indices)", key)
      }
      found.append((key, (0..<count).map(Set(indices).contains)))
    }
    let interval = "full_attention_interval"
    if let length = try object.optionalInteger(interval, in: 1...ModelConfiguration.layerLimit) {
      found.append((interval, (0..<count).map { ($0 + 1) % length == 0 }))
    }
    guard let first = found.first else { return Array(repeating: .unnamed, count: count) }
    if let other = found.first(where: { $0.cached != first.cached }) {
      throw object.error(.inconsistent, "other layers cache keys than by \(first.key)", other.key)
    }
    return first.cached.map { $0 ? .unnamed : .without }
  }
}

extension ConfigurationObject {
  /// Fails on a list of words, one for each of `layers`, under a key that is not known: it may say
  /// that some of them cache no keys.
  fileprivate func checkUnknownLists(_ layers: Int) throws(ModelError) {
    let others = ["mlp", "ffn", "mtp", "rope", "moe", "expert"]
    for (key, value) in members {
      let name = key.lowercased()
      if name.contains("attn_type") || name.contains("attention_type") || name == "block_types"
        || name == "mixer_types"
      {
        throw error(.unsupportedModel, "kinds of layers under a key that is not known", key)
      }
      guard value.kind == .array, value.count == layers, !others.contains(where: name.contains),
        key != "layer_types", key != "layers_block_type",
        value.values.contains(where: { $0.kind == .string })
      else { continue }
      throw error(.unsupportedModel, "words for layers under a key that is not known", key)
    }
  }
}
