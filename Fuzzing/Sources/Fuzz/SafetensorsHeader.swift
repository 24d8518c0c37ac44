import ByteIO
import TensorFiles

/// A whole file: the header is read, and its tensors cover the data.
func safetensorsHeader(_ bytes: [UInt8]) {
  guard let length = try? SafetensorsHeader.jsonLength(parsing: bytes.span, fileSize: bytes.count)
  else { return }
  let json = Array(bytes[8..<8 + length])
  guard let header = try? SafetensorsHeader(json: json.span, fileSize: bytes.count) else {
    return
  }
  precondition(header.dataStart + header.dataLength == bytes.count, "data is not covered")
  for place in [nil, header.dataStart] {
    let again = SafetensorsHeader(
      layingOut: header.tensors.map { ($0.name, $0.scalar, $0.shape) }, metadata: header.metadata,
      inPagesLike: place)
    precondition(again.tensors.map(\.range) == header.tensors.map(\.range), "laid out differently")
    let json = Array(again.encoded.dropFirst(8))
    let size = again.encoded.count + header.dataLength
    guard let read = try? SafetensorsHeader(json: json.span, fileSize: size) else {
      fatalError("written but not read")
    }
    precondition(read.dataStart == again.dataStart && read.metadata == header.metadata)
    precondition(
      read.tensors.map(\.name) == header.tensors.map(\.name)
        && read.tensors.map(\.range) == header.tensors.map(\.range), "read again differently")
  }
}
