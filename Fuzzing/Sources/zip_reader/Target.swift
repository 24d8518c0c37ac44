import FuzzSupport
import TensorFiles

@_cdecl("zip_reader_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// A npz file: whatever arrays a zip archive is found to hold are written and read again equal.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  if let tensors = try? NpzReader.read(bytes.span), !tensors.isEmpty {
    guard let file = try? NpzWriter.bytes(of: tensors) else { fatalError("read but not written") }
    guard let again = try? NpzReader.read(file.span), again == tensors else {
      fatalError("read again differently")
    }
  }
  return 0
}
