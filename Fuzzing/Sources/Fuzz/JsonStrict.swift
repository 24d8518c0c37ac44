import ByteIO
import Foundation
import StrictJSON

/// Everything that is accepted is JSON to Foundation too, which accepts more, and says the same when
/// it is written again.
///
/// With `FUZZ_ACCEPTED` set to a file, accepted inputs and what they are written as are added to it
/// as lines of hexadecimal digits; `check_json.py` shows both to Python.
func jsonStrict(_ bytes: [UInt8]) {
  guard let document = try? JSONDocument(parsing: bytes.span) else { return }
  // as long as before, because the number of values is limited by the length
  var text = written(document.root)
  text += String(repeating: " ", count: max(0, bytes.count - text.utf8.count))
  guard let again = try? JSONDocument(parsing: Array(text.utf8).span) else {
    fatalError("read but not read again")
  }
  precondition(isSame(document.root, again.root), "read again differently")
  accepted?.write(Data((hexadecimal(bytes) + " " + hexadecimal(text.utf8) + "\n").utf8))
  // numbers past a double's range are Foundation's own limit
  guard !hasHugeNumber(document.root) else { return }
  let other = try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
  precondition(other != nil, "accepted what is no JSON")
}

private let accepted: FileHandle? = ProcessInfo.processInfo.environment["FUZZ_ACCEPTED"]
  .flatMap { FileHandle(forWritingAtPath: $0) }

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { String(UInt16($0) + 256, radix: 16).dropFirst() }.joined()
}

/// Depth is limited by the reader.
private func written(_ value: JSONValue) -> String {
  switch value.kind {
  case .object:
    "{" + value.children.map { JSONText.quoted($0) + ":" + written($1) }.joined(separator: ",")
      + "}"
  case .array: "[" + value.children.map { written($0.value) }.joined(separator: ",") + "]"
  case .string: JSONText.quoted(value.string ?? "")
  case .number: value.numberText ?? ""
  case .bool: value.bool == true ? "true" : "false"
  case .null: "null"
  }
}

private func isSame(_ one: JSONValue, _ other: JSONValue) -> Bool {
  guard one.kind == other.kind, one.count == other.count, one.bool == other.bool,
    one.string.map({ Array($0.utf8) }) == other.string.map({ Array($0.utf8) }),
    one.numberText == other.numberText
  else { return false }
  return zip(one.children, other.children).enumerated().allSatisfy { index, pair in
    let (first, second) = pair
    // each look-up reads the object from its start
    let isFound =
      one.kind != .object || index > 16 || one[first.key]?.byteRange == first.value.byteRange
    return isFound && Array(first.key.utf8) == Array(second.key.utf8)
      && isSame(first.value, second.value)
  }
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
