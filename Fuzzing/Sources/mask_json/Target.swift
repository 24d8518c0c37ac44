import FuzzSupport
import LeanKInterchange
import LeanKMask

@_cdecl("mask_json_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// leank's JSON form: what is read is written and read again equal.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  guard let imported = try? MaskImporter.read(bytes.span, as: .json), let mask = imported.mask
  else {
    return 0
  }
  guard let document = try? MaskDocument(mask: mask, scores: imported.scores) else {
    fatalError("scores of another shape")
  }
  let part: MaskExporter.Part = imported.scores == nil ? .mask : .both
  // infinite scores are never read from JSON, so everything that is read can be written
  guard let file = try? MaskExporter.bytes(of: document, part, as: .json),
    let again = try? MaskImporter.read(file.span, as: .json), again == imported
  else { fatalError("read again differently") }
  return 0
}
