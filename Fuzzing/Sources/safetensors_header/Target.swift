import ByteIO
import FuzzSupport
import TensorFiles

@_cdecl("safetensors_header_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// A whole file: the header is read, and its tensors cover the data.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  guard let length = try? SafetensorsHeader.jsonLength(parsing: bytes.span, fileSize: bytes.count)
  else { return 0 }
  let json = Array(bytes[8..<8 + length])
  guard let header = try? SafetensorsHeader(json: json.span, fileSize: bytes.count) else {
    return 0
  }
  precondition(header.dataStart + header.dataLength == bytes.count, "data is not covered")
  let again = SafetensorsHeader(
    layingOut: header.tensors.map { ($0.name, $0.scalar, $0.shape) }, metadata: header.metadata)
  precondition(again.tensors.map(\.range) == header.tensors.map(\.range), "laid out differently")
  return 0
}
