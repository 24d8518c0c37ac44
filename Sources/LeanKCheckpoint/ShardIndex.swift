public import ByteIO
import LeanKModel
import StrictJSON

/// A `model.safetensors.index.json`: which file holds which tensor.
public struct ShardIndex: Sendable {
  public static let fileName = "model.safetensors.index.json"
  public static let byteLimit = 64 << 20
  public static let shardLimit = 10_000
  static let suffix = ".safetensors"

  /// The file as it is.
  public let bytes: [UInt8]
  public let path: String
  /// File names by tensor name.
  public let weightMap: [UTF8Name: String]
  /// The file names, each once, in byte order.
  public let shardNames: [String]
  /// Sum of tensor bytes as the file claims it; advisory.
  public let totalSize: Double?
  /// Where `total_size` and `total_parameters` stand in the text.
  let totalSizeRange: Range<Int>?
  let totalParametersRange: Range<Int>?
  /// What an object of metadata takes the place of, where there is none: a null, or nothing behind
  /// the opening brace.
  private let metadataGap: Range<Int>?

  /// Parses the text of an index and checks every name in it. Opens nothing.
  public init(_ bytes: [UInt8], path: String) throws(CheckpointError) {
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
    let root = ConfigurationObject(value: document.root, path: path)
    guard let map = try liftingModel(try root.object("weight_map")) else {
      throw CheckpointError(root.error(.missingKey, "the key is missing", "weight_map"))
    }
    guard map.value.count > 0 else {
      throw CheckpointError(root.error(.outOfRange, "the map names no tensor", "weight_map"))
    }
    let names = try Self.shardNames(of: map)
    let metadata = try liftingModel(try root.object("metadata"))
    totalSize = try liftingModel(try metadata?.optionalNumber("total_size"))
    if let metadata, let totalSize, totalSize < 0 {
      throw CheckpointError(
        metadata.error(.outOfRange, "expected 0 or more, found \(totalSize)", "total_size"))
    }
    totalSizeRange = metadata?.value["total_size"]?.byteRange
    totalParametersRange = metadata?.value["total_parameters"]?.byteRange
    let first = document.root.byteRange.lowerBound + 1
    metadataGap =
      metadata == nil ? document.root["metadata"]?.byteRange ?? first..<first : nil
    var weightMap: [UTF8Name: String] = [:]
    weightMap.reserveCapacity(map.value.count)
    for (tensor, value) in map.value.children { weightMap[UTF8Name(tensor)] = value.string }
    self.bytes = bytes
    self.path = path
    self.weightMap = weightMap
    shardNames = names.sorted().map(\.text)
  }

  /// The file names in the map, all of them checked before memory is taken for its tensors.
  private static func shardNames(of map: ConfigurationObject) throws(CheckpointError) -> Set<
    UTF8Name
  > {
    var names: Set<UTF8Name> = []
    for (tensor, value) in map.value.children {
      guard let name = value.string else {
        throw CheckpointError(
          map.error(
            .wrongType, "expected a file name, found \(value.kind.rawValue)", escaped(tensor)))
      }
      guard names.insert(UTF8Name(name)).inserted else { continue }
      try check(name, in: map.path)
      guard names.count <= shardLimit else {
        throw CheckpointError(
          .tooManyShards, "more than \(shardLimit) shards", in: map.path)
      }
    }
    return names
  }

  /// Shard names are one path component, so that no index leads out of its directory.
  private static func check(_ name: String, in path: String) throws(CheckpointError) {
    guard DirectoryHandle.isPlainName(name) else {
      throw CheckpointError(
        .shardName, "shard name \(quoted(name)) is not one path component", at: .key("weight_map"),
        in: path)
    }
    guard name.hasBytes(suffix: suffix) else {
      throw CheckpointError(
        .shardName, "shard name \(quoted(name)) does not end in \(suffix)", at: .key("weight_map"),
        in: path)
    }
  }

  /// The file's bytes with the sums of the metadata replaced, where they are given; the rest stays.
  /// Metadata that are not there are put in, since loaders ask for them.
  package func rewritten(totalSize: Int, totalParameters: Int) -> [UInt8] {
    var edits: [(range: Range<Int>, text: String)] = []
    if let range = totalSizeRange { edits.append((range, String(totalSize))) }
    if let range = totalParametersRange { edits.append((range, String(totalParameters))) }
    if let range = metadataGap {
      let object = "{\"total_parameters\": \(totalParameters), \"total_size\": \(totalSize)}"
      edits.append((range, range.isEmpty ? "\"metadata\": \(object), " : object))
    }
    var result = bytes
    for edit in edits.sorted(by: { $0.range.lowerBound > $1.range.lowerBound }) {
      result.replaceSubrange(edit.range, with: edit.text.utf8)
    }
    return result
  }
}
