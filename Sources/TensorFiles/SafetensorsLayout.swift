public import ByteIO
import StrictJSON

/// Header bytes for tensors that are still to be written.
extension SafetensorsHeader {
  /// Lays `tensors` out one after the other, in the order given.
  ///
  /// The caller's names are unique and its sizes have been checked against overflow. With
  /// `dataStart`, the place of another file's data, the new file's data begins equally far into a
  /// page, so that the kernel copies or shares whole pages between the two.
  public init(
    layingOut tensors: [(name: String, scalar: ScalarType, shape: [Int])],
    metadata: [UTF8Name: String], inPagesLike dataStart: Int? = nil
  ) {
    var infos: [TensorInfo] = []
    var offset = 0
    for tensor in tensors {
      let end = offset + tensor.shape.reduce(1, *) * tensor.scalar.bitWidth / 8
      infos.append(
        TensorInfo(
          name: tensor.name, scalar: tensor.scalar, shape: tensor.shape, range: offset..<end))
      offset = end
    }
    self.tensors = infos
    self.metadata = metadata
    var start = 8 + Self.json(infos, metadata).count
    start += 7 - (start + 7) % 8
    // Up to a page more: not for files that it would make noticeably larger.
    if let dataStart, dataStart.isMultiple(of: 8), start <= Self.lengthLimit,
      offset >= 256 * Self.pageSize
    {
      start += (dataStart % Self.pageSize - start % Self.pageSize + Self.pageSize) % Self.pageSize
    }
    self.dataStart = start
  }

  private static let pageSize = 4096

  /// Length word and JSON, padded with spaces: everything before the data.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(dataStart)
    for shift in stride(from: 0, to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: (dataStart - 8) >> shift))
    }
    bytes += Self.json(tensors, metadata)
    while bytes.count < dataStart { bytes.append(0x20) }
    return bytes
  }

  /// Metadata first, its keys sorted; then the tensors in the order of their data.
  private static func json(_ tensors: [TensorInfo], _ metadata: [UTF8Name: String]) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }
        .map { JSONText.quoted($0.key.text) + ":" + JSONText.quoted($0.value) }
      members.append(JSONText.quoted(metadataKey) + ":{" + pairs.joined(separator: ",") + "}")
    }
    for tensor in tensors {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        JSONText.quoted(tensor.name)
          + ":{\"dtype\":\"\(tensor.scalar.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(tensor.range.lowerBound),\(tensor.range.upperBound)]}")
    }
    return Array("{\(members.joined(separator: ","))}".utf8)
  }
}
