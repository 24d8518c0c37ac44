import FuzzSupport
import LeanKFormat

@_cdecl("leank_read_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// A file is refused, or says the same when written again.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  guard let file = try? LeankFile(bytes) else { return 0 }
  guard let again = try? LeankFile.encode(file.document, replacing: file) else {
    fatalError("read but not written")
  }
  precondition(again.file.document == file.document, "read again differently")
  return 0
}
