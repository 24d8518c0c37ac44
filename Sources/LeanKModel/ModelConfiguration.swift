public import ByteIO
package import StrictJSON

/// A checkpoint's config.json, in the dialect of transformers 4 or 5.
public struct ModelConfiguration: Sendable {
  /// Largest file that is read.
  public static let byteLimit = 16 << 20
  public static let fileName = "config.json"
  static let layerLimit = 4096
  static let headLimit = 4096
  static let headDimLimit = 4096
  /// Query heads, or experts, of all layers together; bounds what a description takes in memory.
  static let totalHeadLimit = 1 << 20
  package static let sizeLimit = 1 << 28

  /// The file as it is.
  public let bytes: [UInt8]
  public let path: String
  public let modelType: String
  package let root: ConfigurationObject
  /// Whether this is the language model of a family that gives each token three positions, which
  /// for text are one.
  private(set) var hasThreePositions = false

  /// Reads the text of a config.json. Fails on anything but strict JSON, on a file without a
  /// `model_type`, and on text beyond the limit.
  public init(_ bytes: [UInt8], path: String) throws(ModelError) {
    guard bytes.count <= Self.byteLimit else {
      throw ModelError(
        FileError(.tooLarge, "\(bytes.count) bytes, the limit is \(Self.byteLimit)", in: path))
    }
    let document: JSONDocument
    do {
      document = try JSONDocument(bytes, path: path)
    } catch {
      throw ModelError(error)
    }
    guard document.root.kind == .object else {
      throw ModelError(
        .wrongType, "expected an object, found \(document.root.kind.rawValue)", in: path)
    }
    self.bytes = bytes
    self.path = path
    root = ConfigurationObject(value: document.root, path: path)
    modelType = try root.string("model_type")
  }

  private init(_ outer: ModelConfiguration, root: ConfigurationObject, modelType: String) {
    bytes = outer.bytes
    path = outer.path
    self.root = root
    self.modelType = modelType
  }

  /// The configuration nested under `key`, nil where there is none; `type` is its `model_type` where
  /// it names none.
  func nested(
    _ key: String, else type: String?
  ) throws(ModelError) -> ModelConfiguration? {
    guard let object = try root.object(key) else { return nil }
    return ModelConfiguration(
      self, root: object, modelType: try object.string("model_type", default: type))
  }

  /// The same keys, read as another `model_type`.
  func reading(as type: String, hasThreePositions: Bool = false) -> ModelConfiguration {
    var result = ModelConfiguration(self, root: root, modelType: type)
    result.hasThreePositions = hasThreePositions
    return result
  }

  /// Whether the weights are stored in a quantised form.
  public var isQuantised: Bool {
    ((try? QuantisedWeights(of: self)) ?? nil) != nil
  }

  /// How the weights are quantised as the file names it, such as `fp8`; nil where they are not.
  public var quantizationMethod: String? {
    guard let quantised = (try? QuantisedWeights(of: self)) ?? nil else { return nil }
    return quantised.method ?? "unnamed"
  }

  /// Type of the stored weights as the file names it, such as `bfloat16`.
  public var dataType: String? {
    root.value["dtype"]?.string ?? root.value["torch_dtype"]?.string
  }

  /// The longest context in tokens that the model is made for: `max_position_embeddings`, in a
  /// multimodal model that of its `text_config`; nil where the file does not say.
  public var contextLimit: Int? {
    let text = (try? root.object("text_config")) ?? nil
    let range = 1...Self.sizeLimit
    for object in [text, root] {
      if let limit = (try? object?.optionalInteger("max_position_embeddings", in: range)) ?? nil {
        return limit
      }
    }
    return nil
  }

  /// The object that a conversion put in, nil in a checkpoint that is not pruned.
  package var prunedObject: JSONValue? { root.value[PrunedConfiguration.key] }

  /// Where a further member goes: right behind the opening brace.
  package var firstMemberOffset: Int { root.value.byteRange.lowerBound + 1 }
}
