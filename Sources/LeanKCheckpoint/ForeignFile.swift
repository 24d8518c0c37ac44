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
