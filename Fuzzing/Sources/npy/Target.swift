import FuzzSupport
import TensorFiles

@_cdecl("npy_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// What is read is written and read again equal.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  if let array = try? NpyReader.read(bytes.span) {
    guard let file = try? NpyWriter.bytes(of: array) else { fatalError("read but not written") }
    guard let again = try? NpyReader.read(file.span), again == array else {
      fatalError("read again differently")
    }
  }
  return 0
}
