import StrictJSON

/// The configuration of the language model inside one of an unknown `model_type`.
struct TextConfiguration {
  /// The keys of the language model, config.json's own or those nested in it.
  let object: ConfigurationObject
  /// `object` and all that it is nested in, innermost first.
  let objects: [ConfigurationObject]

  private static let keys = ["text_config", "llm_config", "thinker_config", "language_config"]

  /// Fails where several places may hold the language model, or two of them contradict each other.
  init(_ root: ConfigurationObject) throws(ModelError) {
    var objects = [root]
    var innermost = root
    while true {
      var nested: [(key: String, object: ConfigurationObject)] = []
      for key in Self.keys where innermost.contains(key) {
        if let object = try innermost.object(key) { nested.append((key, object)) }
      }
      guard let found = nested.first else { break }
      guard nested.count == 1 else {
        throw innermost.error(
          .unsupportedModel, "beside \(nested[1].key), either of which may be the language model",
          found.key)
      }
      objects.insert(found.object, at: 0)
      innermost = found.object
    }
    object = innermost
    self.objects = objects
    for outer in objects.dropFirst() { try object.checkAgreement(with: outer) }
  }
}

extension ConfigurationObject {
  /// Fails where `outer` has another value for a key that decides the shape of a cache.
  fileprivate func checkAgreement(with outer: ConfigurationObject) throws(ModelError) {
    let keys = [
      "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    ]
    for key in keys {
      guard let theirs = outer.value[key]?.integer, let mine = value[key]?.integer,
        theirs != mine
      else { continue }
      throw error(.inconsistent, "found \(mine), and \(theirs) outside", key)
    }
  }

  /// Keys and values, nulls left out.
  var members: [(key: String, value: JSONValue)] {
    value.children.filter { !$0.value.isNull }
  }
}
