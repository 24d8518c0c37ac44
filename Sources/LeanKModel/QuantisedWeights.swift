/// What config.json says about weights that are stored with scales beside them.
package struct QuantisedWeights: Sendable {
  /// `quant_method`, such as `fp8` or `compressed-tensors`.
  package let method: String?
  /// Rows and columns that share a scale in a fine-grained block, nil where none are.
  package let block: (rows: Int, columns: Int)?

  /// nil where the weights are as the architecture has them.
  package init?(of configuration: ModelConfiguration) throws(ModelError) {
    guard let object = try Self.object(in: configuration.root) else { return nil }
    method = try object.optionalString("quant_method")
    block = try Self.block(in: object)
  }

  /// Keys under which writers put it; wrappers may have it in `text_config`.
  private static func object(
    in root: ConfigurationObject
  ) throws(ModelError) -> ConfigurationObject? {
    for place in [root, try root.object("text_config")] {
      for key in ["quantization_config", "compression_config"] {
        if let found = try place?.object(key) { return found }
      }
    }
    return nil
  }

  /// `weight_block_size` (DeepSeek's form), or the one `block_structure` of compressed-tensors' groups.
  private static func block(
    in object: ConfigurationObject
  ) throws(ModelError) -> (rows: Int, columns: Int)? {
    var sizes: [[Int]] = []
    if let size = try object.optionalIntegers("weight_block_size") { sizes.append(size) }
    for group in try object.object("config_groups")?.objects() ?? [] {
      // Some writers have it as text, which says nothing reliable.
      guard let weights = try group.object("weights"), weights.isList("block_structure"),
        let size = try weights.optionalIntegers("block_structure")
      else { continue }
      sizes.append(size)
    }
    guard let first = sizes.first, sizes.allSatisfy({ $0 == first }), first.count == 2,
      first.allSatisfy({ (1...ModelConfiguration.sizeLimit).contains($0) })
    else { return nil }
    return (first[0], first[1])
  }
}
