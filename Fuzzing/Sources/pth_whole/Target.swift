import FuzzSupport
import LeanKInterchange
import LeanKMask
import TensorFiles

@_cdecl("pth_whole_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// A whole torch file, as far as it is a mask or scores.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  guard let imported = try? MaskImporter.read(bytes.span, as: .pth), let mask = imported.mask else {
    return 0
  }
  guard let document = try? MaskDocument(mask: mask),
    let file = try? MaskExporter.bytes(of: document, .mask, as: .safetensors),
    let again = try? MaskImporter.read(file.span, as: .safetensors), again.mask == mask
  else { fatalError("read again differently") }
  return 0
}
