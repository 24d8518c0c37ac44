public import ByteIO
import Crypto
public import LeanKModel
public import TensorFiles

/// A Hugging Face model directory, opened: configuration, shard headers, and the data on demand.
///
/// Everything is checked before a value of this type exists, and files stay open, so that what was
/// checked is what is read later.
public final class CheckpointDirectory: Sendable {
  package static let singleFile = "model.safetensors"

  public let directory: DirectoryHandle
  public let configuration: ModelConfiguration
  /// Set in a checkpoint that `convert` wrote.
  public let pruned: PrunedConfiguration?
  /// The weights' files in byte order of their names.
  public let shards: [Shard]
  /// nil where the weights are one file.
  public let index: ShardIndex?
  /// What is odd but harmless, in sentences.
  public let warnings: [String]
  /// Rows and columns that share a scale where scales are fine-grained.
  package let scaleBlock: (rows: Int, columns: Int)?
  private let configurationFile: PositionalFile
  private let indexFile: PositionalFile?
  private let shardByTensor: [UTF8Name: Int]

  /// One file of weights.
  public struct Shard: Sendable {
    public let name: String
    public let file: SafetensorsFile
  }

  public var path: String { directory.path }

  /// Opens the directory at `path`.
  ///
  /// Refuses a directory that a conversion did not finish (unless `acceptingIncomplete`), one with
  /// both a single file and an index, and an index that differs from the shards in any tensor.
  public convenience init(
    path: String, acceptingIncomplete: Bool = false
  ) throws(CheckpointError) {
    let directory = try lifting(try DirectoryHandle(path: path))
    try self.init(directory, acceptingIncomplete: acceptingIncomplete)
  }

  private init(_ directory: DirectoryHandle, acceptingIncomplete: Bool) throws(CheckpointError) {
    self.directory = directory
    let path = directory.path
    func isThere(_ name: String) throws(CheckpointError) -> Bool {
      try lifting(try directory.kind(of: name)) != nil
    }
    func open(_ name: String, limit: Int) throws(CheckpointError) -> (PositionalFile, [UInt8]) {
      let file = try lifting(try PositionalFile(name: name, in: directory))
      return (file, try lifting(try file.contents(limit: limit)))
    }
    let isIncomplete = try isThere(StagingDirectory.marker)
    guard !isIncomplete || acceptingIncomplete else {
      throw CheckpointError(
        .incomplete,
        "the directory holds \(StagingDirectory.marker): a conversion that did not finish", in: path
      )
    }
    let text: [UInt8]
    (configurationFile, text) = try open(
      ModelConfiguration.fileName, limit: ModelConfiguration.byteLimit)
    configuration = try liftingModel(try ModelConfiguration(text, path: configurationFile.path))
    pruned = try liftingModel(try PrunedConfiguration(of: configuration))
    scaleBlock = try liftingModel(try QuantisedWeights(of: configuration))?.block

    let hasIndex = try isThere(ShardIndex.fileName)
    let hasSingle = try isThere(Self.singleFile)
    guard hasIndex || hasSingle else { throw try Self.missingWeights(in: directory) }
    if hasIndex {
      let (file, text) = try open(ShardIndex.fileName, limit: ShardIndex.byteLimit)
      indexFile = file
      let named = try ShardIndex(text, path: file.path)
      guard !hasSingle || named.shardNames == [Self.singleFile] else {
        throw CheckpointError(
          .bothSingleAndIndex,
          "both \(Self.singleFile) and \(ShardIndex.fileName), which names other files, are there: remove "
            + "the one that is not meant", in: path)
      }
      index = named
    } else {
      indexFile = nil
      index = nil
    }
    var shards: [Shard] = []
    for name in index?.shardNames ?? [Self.singleFile] {
      let file = try Self.shardFile(name, in: directory, index)
      shards.append(Shard(name: name, file: try liftingTensors(try SafetensorsFile(file))))
    }
    self.shards = shards
    shardByTensor = try Self.locate(shards, index)
    warnings = Self.warnings(shards, index)
  }

  /// Opens a file of weights. One that the index names and that is not there is a checkpoint not
  /// whole; what else may fail is the file system's.
  private static func shardFile(
    _ name: String, in directory: DirectoryHandle, _ index: ShardIndex?
  ) throws(CheckpointError) -> PositionalFile {
    do throws(FileError) {
      return try PositionalFile(name: name, in: directory)
    } catch {
      guard let index, [.missing, .linkLoop, .notRegular].contains(error.code) else {
        throw CheckpointError(error)
      }
      throw CheckpointError(
        .missingShard,
        "the index names \(quoted(name)), which is no file here (\(error.detail))"
          + ": the checkpoint is not whole", in: index.path)
    }
  }

  // MARK: - Tensors

  /// Whether the weights are stored in a quantised form: config.json says so, and a tensor bears it
  /// out. Files that were turned back into plain weights often keep the key.
  public var isQuantised: Bool {
    configuration.isQuantised
      && shards.contains { $0.file.header.tensors.contains(where: Self.isPacked) }
  }

  /// How the weights are quantised, such as `fp8`; nil where they are not.
  public var quantizationMethod: String? { isQuantised ? configuration.quantizationMethod : nil }

  /// Whether a tensor holds something other than plain numbers, or goes by the name of one that does.
  /// Masks and positions that old files keep beside the weights are no weights.
  private static func isPacked(_ tensor: TensorInfo) -> Bool {
    switch tensor.scalar {
    case .f64, .f32, .f16, .bf16:
      return [".qweight", ".weight_packed"].contains(where: tensor.name.hasBytes(suffix:))
    case .bool: return false
    default:
      return ![".bias", ".masked_bias", ".position_ids"].contains(
        where: tensor.name.hasBytes(suffix:))
    }
  }

  /// Names of all tensors, for a look at which are there; equal to each other as `String` has it.
  public var tensorNames: Set<String> { Set(shardByTensor.keys.map(\.text)) }

  /// The file and the place of a tensor, nil where no shard holds it.
  public func tensor(_ name: String) -> (file: SafetensorsFile, info: TensorInfo)? {
    guard let shard = shardByTensor[UTF8Name(name)], let info = shards[shard].file[name] else {
      return nil
    }
    return (shards[shard].file, info)
  }

  /// The description of the dense model, every tensor it names being there in the shape it has to
  /// have. A quantised checkpoint fails with code `quantised` where it has not, a model of which only
  /// the geometry is known with `notDecoded`. Without `checkingShapes` tensors are not compared.
  public func describe(
    checkingShapes: Bool = true
  ) throws(CheckpointError) -> DescribedModel {
    let model: DescribedModel
    do throws(ModelError) {
      model = try DescribedModel(configuration: configuration, tensorNames: tensorNames)
    } catch {
      guard error.code == .unknownModelType else { throw CheckpointError(error) }
      let known = try geometry()
      throw CheckpointError(
        .notDecoded,
        "model_type \(quoted(known.modelType)) is known by the geometry of its cache alone, and leank does "
          + "not run it: convert and verify --structure-only need no more, and transformers runs it with "
          + "the loader that convert writes", in: configuration.path)
    }
    if checkingShapes { try check(model.shapes) }
    return model
  }

  /// Which layers cache keys, and how wide: of every model that a family describes or whose
  /// config.json and tensors agree. Without `checkingShapes` a family's tensors are not compared,
  /// since quantised weights do not keep their shapes.
  public func geometry(checkingShapes: Bool = true) throws(CheckpointError) -> ModelGeometry {
    var shapes: [String: [Int]] = [:]
    for shard in shards {
      for tensor in shard.file.header.tensors { shapes[tensor.name] = tensor.shape }
    }
    let model = try liftingModel(
      try ModelGeometry(configuration: configuration, shapes: shapes))
    if checkingShapes { try check(model.shapes) }
    return model
  }

  /// Fails on the first tensor, in byte order of names, that is missing or of another shape.
  package func check(_ shapes: [String: [Int]]) throws(CheckpointError) {
    let hint =
      isQuantised ? ": the checkpoint is quantised, and not in a form that can be read" : ""
    let names = shapes.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for name in names {
      guard let found = tensor(name)?.info.shape else {
        throw CheckpointError(
          isQuantised ? .quantised : .missingTensor, "tensor \(quoted(name)) is missing" + hint,
          in: path)
      }
      guard let expected = shapes[name], found == expected else {
        throw CheckpointError(
          isQuantised ? .quantised : .tensorShape,
          "tensor \(quoted(name)): expected shape \(shapes[name] ?? []), found \(found)" + hint,
          in: path)
      }
    }
  }

  /// Bytes of one cached element of `model`, this checkpoint's: a cache holds activations, two bytes
  /// each, unless weights of K are wider. Where none is stored under its name, as in packed weights,
  /// config.json's type decides.
  public func cacheElementBytes(of model: ModelGeometry) -> Int {
    cacheElementBytes(keyWeights: model.layers.compactMap(\.keyWeight))
  }

  /// The same of a model that a family describes.
  public func cacheElementBytes(of model: ModelDescription) -> Int {
    cacheElementBytes(keyWeights: model.layers.map(\.attention.key.weight))
  }

  private func cacheElementBytes(keyWeights: [String]) -> Int {
    let scalars = keyWeights.compactMap { tensor($0)?.info.scalar }
    let isWide =
      scalars.isEmpty
      ? configuration.dataType == "float32" : scalars.contains { $0 == .f32 || $0 == .f64 }
    return isWide ? 4 : 2
  }

  // MARK: - Identity

  /// SHA-256, in hexadecimal digits, of config.json and then of each shard's header (its length word
  /// and JSON), in order of file names.
  public var sourceDigest: String {
    var hash = SHA256()
    hash.update(data: configuration.bytes)
    for shard in shards { hash.update(data: shard.file.headerBytes) }
    return hexadecimal(hash.finalize())
  }

  /// Fails when a file is no longer in the state in which it was opened.
  public func checkUnchanged() throws(CheckpointError) {
    try lifting(try configurationFile.checkUnchanged())
    if let indexFile { try lifting(try indexFile.checkUnchanged()) }
    for shard in shards { try lifting(try shard.file.file.checkUnchanged()) }
  }

  // MARK: - Opening

  private static func missingWeights(
    in directory: DirectoryHandle
  ) throws(CheckpointError) -> CheckpointError {
    let found = ForeignFile.insteadOfWeights(try lifting(try directory.names()))
    return CheckpointError(
      .noWeights,
      "neither \(singleFile) nor \(ShardIndex.fileName) is there" + (found.map { "; " + $0 } ?? ""),
      in: directory.path)
  }

  /// The shard of each tensor. Index and headers have to agree in every name.
  private static func locate(
    _ shards: [Shard], _ index: ShardIndex?
  ) throws(CheckpointError) -> [UTF8Name: Int] {
    var located: [UTF8Name: Int] = [:]
    for (number, shard) in shards.enumerated() {
      for tensor in shard.file.header.tensors {
        let name = UTF8Name(tensor.name)
        if let other = located.updateValue(number, forKey: name) {
          throw CheckpointError(
            .indexMismatch,
            "tensor \(quoted(tensor.name)) is also in \(quoted(shards[other].name))",
            in: shard.file.path)
        }
        let claimed = index?.weightMap[name]
        guard index != nil, claimed.map({ UTF8Name($0) }) != UTF8Name(shard.name) else { continue }
        let claim = claimed.map { "says it is in \(quoted($0))" }
        throw CheckpointError(
          .indexMismatch,
          "tensor \(quoted(tensor.name)): the index " + (claim ?? "does not name it"),
          in: shard.file.path)
      }
    }
    guard let index, located.count < index.weightMap.count else { return located }
    let lost = index.weightMap.keys.filter { located[$0] == nil }.min() ?? ""
    throw CheckpointError(
      .indexMismatch,
      "tensor \(quoted(lost.text)) is not in \(quoted(index.weightMap[lost] ?? ""))", in: index.path
    )
  }

  private static func warnings(_ shards: [Shard], _ index: ShardIndex?) -> [String] {
    let total = shards.reduce(0) { $0 + $1.file.header.dataLength }
    guard let claimed = index?.totalSize, claimed != Double(total) else { return [] }
    return ["the index gives a total_size of \(claimed), the tensors take \(total) bytes"]
  }
}
