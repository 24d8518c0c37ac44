import ByteIO

extension ConfigurationObject {
  /// Kinds of layers that transformers knows.
  private static let layerTypes: Set<String> = [
    "full_attention", "attention", "sliding_attention", "chunked_attention", "window_attention",
    "linear_attention", "mamba", "indexed_attention", "deepseek_sparse_attention",
    "qwen_sparse_attention", "compressed_sparse_attention", "heavily_compressed_attention",
    "minimax_m3_sparse", "conv", "moe", "hybrid", "hybrid_sliding", "reference_sliding_attention",
  ]

  /// Fails on `layer_types` that are no such list, one for each layer: transformers refuses them in
  /// families that do not go by them, too.
  func checkLayerTypes(_ layers: Int) throws(ModelError) {
    let key = "layer_types"
    guard let types = try optionalStrings(key) else { return }
    guard types.count == layers else {
      throw error(.inconsistent, "\(types.count) entries for \(layers) layers", key)
    }
    guard let unknown = types.first(where: { !Self.layerTypes.contains($0) }) else { return }
    throw error(.unsupportedModel, "layer type \(quoted(unknown)) is not known", key)
  }

  /// Fails where layers have keys of their own: a description has one value for all of them.
  func checkUniform() throws(ModelError) {
    let key = "per_layer_config"
    guard let own = try object(key), !own.isEmpty else { return }
    throw error(
      .unsupportedModel, "keys that differ from layer to layer are not supported", key)
  }
}
