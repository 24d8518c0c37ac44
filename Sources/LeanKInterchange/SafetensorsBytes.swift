import ByteIO
import TensorFiles

/// A small safetensors file that is in memory whole.
enum SafetensorsBytes {
  /// All tensors of `bytes` by name, and the metadata.
  static func read(
    _ bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) -> (tensors: [NamedTensor], metadata: [UTF8Name: String]) {
    if let error = TensorFileError.misnamedSafetensors(bytes) { throw error }
    let length = try SafetensorsHeader.jsonLength(parsing: bytes, fileSize: bytes.count)
    guard length <= limits.safetensorsHeader else {
      throw TensorFileError(
        .headerTooLong,
        "safetensors header of \(length) bytes, the limit for masks is \(limits.safetensorsHeader)",
        at: .byte(0))
    }
    let header = try SafetensorsHeader(
      json: bytes.extracting(8..<8 + length), fileSize: bytes.count)
    var tensors: [NamedTensor] = []
    for info in header.tensors {
      guard info.range.count <= limits.arrayBytes else {
        throw TensorFileError(
          .limit, "tensor of \(info.range.count) bytes, the limit is \(limits.arrayBytes)",
          at: .key(info.name))
      }
      let start = header.dataStart + info.range.lowerBound
      let array = TensorArray(
        scalar: info.scalar, shape: info.shape,
        bytes: bytes.copy(start..<start + info.range.count))
      tensors.append(NamedTensor(name: info.name, array: array))
    }
    return (tensors, header.metadata)
  }

  /// A file of `tensors`, in the order given.
  static func write(_ tensors: [NamedTensor], metadata: [UTF8Name: String]) -> [UInt8] {
    let header = SafetensorsHeader(
      layingOut: tensors.map { ($0.name, $0.array.scalar, $0.array.shape) }, metadata: metadata)
    return tensors.reduce(into: header.encoded) { $0 += $1.array.bytes }
  }
}
