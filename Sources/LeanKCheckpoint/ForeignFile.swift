import ByteIO

/// What the names of files beside a checkpoint's weights say about who reads them.
package enum ForeignFile {
  private static let weightSuffixes = [
    ".bin", ".pth", ".pt", ".ot", ".ckpt", ".pkl", ".pickle", ".joblib", ".h5", ".hdf5", ".keras",
    ".msgpack", ".pdparams", ".pdiparams", ".gguf", ".ggml", ".onnx", ".onnx_data", ".npz", ".nemo",
    ".tflite", ".mlmodel", ".safetensors",
  ]

  /// Whether `name` looks like weights, in whatever format. Beside pruned weights a loader would fall
  /// back to them and run the dense model.
  package static func isWeights(_ name: String) -> Bool {
    let lowercased = name.lowercased()
    return weightSuffixes.contains(where: lowercased.hasBytes(suffix:))
  }

  /// What a directory without a checkpoint's weights holds in their place, and the way from there to
  /// a checkpoint; nil where it holds none.
  static func insteadOfWeights(_ names: [String]) -> String? {
    let shards = names.compactMap { name in shard(name).map { (name, $0) } }
    if let (name, count) = shards.first {
      guard count > 1 else {
        return "\(quoted(name)) is the only shard of its checkpoint, rename it to model.safetensors"
      }
      return "\(quoted(name)) is a shard, of \(shards.count) that are here and \(count) in all, "
        + "and the index that names the shard of each tensor is missing"
    }
    if let adapter = names.first(where: isAdapter) {
      return "\(quoted(adapter)) belongs to an adapter, merge it into its base model and save that"
    }
    guard let other = names.first(where: isWeights) else { return nil }
    return other.lowercased().hasBytes(suffix: ShardIndex.suffix)
      ? "\(quoted(other)) goes by another name, rename it to model.safetensors if it is the whole model"
      : "\(quoted(other)) is another format, convert it to safetensors"
  }

  /// In how many shards a file called `name` says that its checkpoint lies, nil where it is none:
  /// `model-00001-of-00002.safetensors`.
  private static func shard(_ name: String) -> Int? {
    guard name.hasBytes(suffix: ShardIndex.suffix) else { return nil }
    let parts = name.dropLast(ShardIndex.suffix.count).split(
      separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[parts.count - 2] == "of", let count = Int(parts[parts.count - 1]),
      Int(parts[parts.count - 3]) != nil
    else { return nil }
    return count
  }

  /// Whether `name` is an index of weights.
  package static func isIndex(_ name: String) -> Bool {
    name.lowercased().hasBytes(suffix: ".index.json")
  }

  /// Whether `name` belongs to an adapter, which a loader that finds it adds to the weights.
  package static func isAdapter(_ name: String) -> Bool {
    name.lowercased().hasBytes(prefix: "adapter_")
  }

  /// Whether `name` must not travel beside pruned weights.
  package static func staysBehind(_ name: String) -> Bool {
    isWeights(name) || isIndex(name) || isAdapter(name)
  }

  /// Suffixes of code, configuration, chat templates and tokenizers.
  private static let loaderSuffixes = [
    ".py", ".pyc", ".json", ".jinja", ".model", ".tiktoken", ".vocab", ".bpe", ".codes",
  ]
  private static let loaderNames: Set<String> = [
    "vocab.txt", "merges.txt", "dict.txt", "additional_chat_templates/",
  ]

  /// Whether something that loads a checkpoint or its tokenizer may read `name`, a folder's name
  /// ending in a slash.
  package static func mayBeLoaded(_ name: String) -> Bool {
    let lowercased = name.lowercased()
    return staysBehind(name) || loaderNames.contains(lowercased)
      || loaderSuffixes.contains(where: lowercased.hasBytes(suffix:))
  }
}
