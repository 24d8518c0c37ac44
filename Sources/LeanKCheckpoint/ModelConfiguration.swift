public import ByteIO
import StrictJSON

/// A checkpoint's config.json, in the dialect of transformers 4 or 5.
public struct ModelConfiguration: Sendable {
  /// Largest file that is read.
  public static let byteLimit = 16 << 20
  public static let fileName = "config.json"
  static let layerLimit = 4096
  static let headLimit = 4096
  static let headDimLimit = 4096
  static let sizeLimit = 1 << 28

  /// The file as it is.
  public let bytes: [UInt8]
  public let path: String
  public let modelType: String
  let root: ConfigurationObject

  /// Reads the text of a config.json. Fails on anything but strict JSON, on a file without a
  /// `model_type`, and on text beyond the limit.
  public init(_ bytes: [UInt8], path: String) throws(CheckpointError) {
    guard bytes.count <= Self.byteLimit else {
      throw CheckpointError(
        FileError(.tooLarge, "\(bytes.count) bytes, the limit is \(Self.byteLimit)", in: path))
    }
    let document: JSONDocument
    do {
      document = try JSONDocument(bytes, path: path)
    } catch {
      throw CheckpointError(error)
    }
    guard document.root.kind == .object else {
      throw CheckpointError(
        .wrongType, "expected an object, found \(document.root.kind.rawValue)", in: path)
    }
    self.bytes = bytes
    self.path = path
    root = ConfigurationObject(value: document.root, path: path)
    modelType = try root.string("model_type")
  }

  /// Whether the weights are stored in a quantised form.
  public var isQuantised: Bool { root.contains("quantization_config") }

  /// Type of the stored weights as the file names it, such as `bfloat16`.
  public var dataType: String? {
    root.value["dtype"]?.string ?? root.value["torch_dtype"]?.string
  }

  /// The object that a conversion put in, nil in a checkpoint that is not pruned.
  var prunedObject: JSONValue? { root.value[PrunedConfiguration.key] }

  /// Where a further member goes: right behind the opening brace.
  var firstMemberOffset: Int { root.value.byteRange.lowerBound + 1 }
}

/// Sizes that every decoder has.
struct ModelShape: Sendable {
  let hiddenSize: Int
  let layers: Int
  let queryHeads: Int
  let kvHeads: Int
  let headDim: Int
  let vocabularySize: Int

  /// Reads the sizes; `kvHeads` for families that name or derive theirs differently.
  ///
  /// An explicit head_dim wins; else it is hidden_size / heads, which then has to divide.
  init(
    _ root: ConfigurationObject, kvHeads given: Int? = nil, vocabularySize fallback: Int = 32_000
  ) throws(CheckpointError) {
    hiddenSize = try root.integer("hidden_size", in: 1...ModelConfiguration.sizeLimit)
    layers = try root.integer("num_hidden_layers", in: 1...ModelConfiguration.layerLimit)
    queryHeads = try root.integer("num_attention_heads", in: 1...ModelConfiguration.headLimit)
    if let given {
      kvHeads = given
    } else {
      kvHeads = try root.integer(
        "num_key_value_heads", in: 1...ModelConfiguration.headLimit, default: queryHeads)
    }
    guard queryHeads.isMultiple(of: kvHeads) else {
      throw root.error(
        .inconsistent, "\(queryHeads) query heads are not a multiple of \(kvHeads) KV heads",
        "num_key_value_heads")
    }
    if let explicit = try root.optionalInteger("head_dim", in: 1...ModelConfiguration.headDimLimit) {
      headDim = explicit
    } else {
      guard hiddenSize.isMultiple(of: queryHeads) else {
        throw root.error(
          .inconsistent,
          "hidden_size \(hiddenSize) is not a multiple of \(queryHeads) heads and no head_dim is given",
          "head_dim")
      }
      headDim = hiddenSize / queryHeads
      guard headDim <= ModelConfiguration.headDimLimit else {
        throw root.error(
          .outOfRange, "expected 1 to \(ModelConfiguration.headDimLimit), found \(headDim)",
          "head_dim")
      }
    }
    vocabularySize = try root.integer(
      "vocab_size", in: 1...ModelConfiguration.sizeLimit, default: fallback)
  }

  /// 1/sqrt(head_dim), the usual scale of scores.
  var scale: Float { Float(1 / Double(headDim).squareRoot()) }
}
