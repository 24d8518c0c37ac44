/// What config.json says about weights that are stored with scales beside them.
package struct QuantisedWeights: Sendable {
  /// `quant_method`, such as `fp8` or `compressed-tensors`.
  package let method: String?
  /// Rows and columns that share a scale in a fine-grained block, nil where none are.
  package let block: (rows: Int, columns: Int)?
  /// How several numbers lie in a word, nil where they do not, or not in a way that is known.
  let packing: Packing?

  /// Numbers of so many bits, in words of so many.
  enum Packing: Sendable, Hashable {
    /// Those of a row side by side.
    case columns(bits: Int, word: Int)
    /// Those of a column.
    case rows(bits: Int, word: Int)
  }

  /// nil where the weights are as the architecture has them.
  package init?(of configuration: ModelConfiguration) throws(ModelError) {
    guard let object = try Self.object(in: configuration.root) else { return nil }
    method = try object.optionalString("quant_method")
    block = try Self.block(in: object)
    packing = try Self.packing(method, in: object)
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

  /// GPTQ's and AWQ's words of 32 bits, and the packed forms of compressed-tensors.
  private static func packing(
    _ method: String?, in object: ConfigurationObject
  ) throws(ModelError) -> Packing? {
    switch method {
    case "gptq":
      return try object.optionalInteger("bits", in: 1...32).map { .columns(bits: $0, word: 32) }
    case "awq":
      return try object.optionalInteger("bits", in: 1...32).map { .rows(bits: $0, word: 32) }
    case "compressed-tensors":
      let groups = try object.object("config_groups")?.objects() ?? []
      var widths: Set<Int> = []
      for group in groups {
        guard let weights = try group.object("weights"),
          let bits = try weights.optionalInteger("num_bits", in: 1...32)
        else { continue }
        widths.insert(bits)
      }
      guard widths.count == 1, let bits = widths.first else { return nil }
      switch try object.optionalString("format") {
      case "pack-quantized": return .columns(bits: bits, word: 32)
      case "nvfp4-pack-quantized", "mxfp4-pack-quantized": return .columns(bits: bits, word: 8)
      default: return nil
      }
    default: return nil
    }
  }
}
