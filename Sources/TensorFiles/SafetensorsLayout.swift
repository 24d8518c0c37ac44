import StrictJSON

/// Header bytes for tensors that are still to be written.
extension SafetensorsHeader {
  /// Lays `tensors` out one after the other, in the order given.
  ///
  /// The caller's names are unique and its sizes have been checked against overflow.
  public init(
    layingOut tensors: [(name: String, scalar: ScalarType, shape: [Int])],
    metadata: [String: String]
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
    self.init(tensors: infos, metadata: metadata)
  }

  private init(tensors: [TensorInfo], metadata: [String: String]) {
    self.tensors = tensors
    self.metadata = metadata
    dataStart = 8 + Self.json(tensors, metadata).count
  }

  /// Length word and JSON, padded with spaces to a multiple of 8: everything before the data.
  public var encoded: [UInt8] {
    let json = Self.json(tensors, metadata)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + json.count)
    for shift in stride(from: 0, to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: json.count >> shift))
    }
    return bytes + json
  }

  /// Metadata first, its keys sorted; then the tensors in the order of their data.
  private static func json(_ tensors: [TensorInfo], _ metadata: [String: String]) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { JSONText.quoted($0.key) + ":" + JSONText.quoted($0.value) }
      members.append(JSONText.quoted(metadataKey) + ":{" + pairs.joined(separator: ",") + "}")
    }
    for tensor in tensors {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        JSONText.quoted(tensor.name)
          + ":{\"dtype\":\"\(tensor.scalar.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(tensor.range.lowerBound),\(tensor.range.upperBound)]}")
    }
    var bytes = Array("{\(members.joined(separator: ","))}".utf8)
    while !bytes.count.isMultiple(of: 8) { bytes.append(0x20) }
    return bytes
  }
}
