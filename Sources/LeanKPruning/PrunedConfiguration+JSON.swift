import LeanKMask
import LeanKModel
import StrictJSON

extension PrunedConfiguration {
  /// The object as JSON text, indented to stand one level deep.
  var json: String {
    var members = [
      ("spec_version", JSONText.quoted(Self.specVersion)),
      ("mask_file", JSONText.quoted(maskFile)),
      ("mask_content_id", JSONText.quoted(maskContentID)),
      ("layout", JSONText.quoted(layout.rawValue)),
      ("mode", JSONText.quoted(deployment.mode.rawValue)),
    ]
    if let window = deployment.window {
      members += [
        ("sink", String(window.sink)), ("recent", String(window.recent)),
        ("accumulate", String(window.accumulate)),
      ]
    }
    members.append(("source_digest", JSONText.quoted(sourceDigest)))
    let lines = members.map { "    \(JSONText.quoted($0.0)): \($0.1)" }
    return "{\n" + lines.joined(separator: ",\n") + "\n  }"
  }
}

extension ModelConfiguration {
  /// The file's bytes with `object` as first member `leank`; everything else stays byte for byte.
  func inserting(_ object: some Sequence<UInt8>) -> [UInt8] {
    var result = Array(bytes[..<firstMemberOffset])
    result += Array("\n  \(JSONText.quoted(PrunedConfiguration.key)): ".utf8)
    result += object
    // The source's object has at least a model_type.
    result.append(0x2C)
    result += bytes[firstMemberOffset...]
    return result
  }

  /// Whether this file is `source` with a `leank` object put in, and nothing else changed.
  func isInsertion(into source: ModelConfiguration) -> Bool {
    guard let object = prunedObject else { return false }
    return source.inserting(bytes[object.byteRange]) == bytes
  }
}
