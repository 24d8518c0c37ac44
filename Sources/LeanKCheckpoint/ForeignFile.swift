/// Files that must not travel beside pruned weights: a loader would fall back to them and run the
/// dense model.
package enum ForeignFile {
  private static let weightSuffixes = [
    ".bin", ".pth", ".pt", ".ckpt", ".h5", ".msgpack", ".gguf", ".ggml", ".onnx", ".onnx_data",
    ".npz", ".nemo", ".tflite", ".safetensors",
  ]

  /// Whether `name` looks like weights, in whatever format.
  package static func isWeights(_ name: String) -> Bool {
    let lowercased = name.lowercased()
    return weightSuffixes.contains(where: lowercased.hasSuffix)
  }

  /// Whether `name` is an index of weights.
  package static func isIndex(_ name: String) -> Bool { name.lowercased().hasSuffix(".index.json") }
}
