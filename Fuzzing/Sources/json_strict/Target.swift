import ByteIO
import Foundation
import FuzzSupport
import StrictJSON

@_cdecl("json_strict_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  fuzz(count, arguments, test)
}

/// Everything that is accepted is JSON to Foundation too, which accepts more.
/// Numbers past a double's range and the byte 0 in keys are Foundation's own limits.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = array(start, count)
  guard let document = try? JSONDocument(parsing: bytes.span) else { return 0 }
  guard !hasHugeNumber(document.root) else { return 0 }
  let other = try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
  precondition(other != nil, "accepted what is no JSON")
  return 0
}

private func hasHugeNumber(_ root: JSONValue) -> Bool {
  var rest = [root]
  while let value = rest.popLast() {
    if value.kind == .number, value.double == nil || (value.numberText?.utf8.count ?? 0) > 300 {
      return true
    }
    rest += value.children.map(\.value)
  }
  return false
}
