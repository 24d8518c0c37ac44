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
      // the variations stand only where they are asked for
      if window.prefill != .dense {
        members.append(("prefill", JSONText.quoted(window.prefill.rawValue)))
      }
      if window.emptyHeads != .absent {
        members.append(("empty_heads", JSONText.quoted(window.emptyHeads.rawValue)))
      }
    }
    members.append(("source_digest", JSONText.quoted(sourceDigest)))
    let lines = members.map { "    \(JSONText.quoted($0.0)): \($0.1)" }
    return "{\n" + lines.joined(separator: ",\n") + "\n  }"
  }
}

extension ModelConfiguration {
  /// The file's bytes with `object` as first member `leank`, and behind it `auto_map` where there is
  /// a loader; everything else stays byte for byte.
  func inserting(_ object: some Sequence<UInt8>, withLoader: Bool) -> [UInt8] {
    var result = Array(bytes[..<firstMemberOffset])
    result += Array("\n  \(JSONText.quoted(PrunedConfiguration.key)): ".utf8)
    result += object
    if withLoader {
      let member = JSONText.quoted(LoaderFile.key) + ": " + LoaderFile.autoMap(for: self)
      result += Array(",\n  \(member)".utf8)
    }
    // The source's object has at least a model_type.
    result.append(0x2C)
    result += bytes[firstMemberOffset...]
    return result
  }

  /// Whether this file is `source` with a `leank` object put in, and `auto_map` where that is new,
  /// and nothing else changed.
  func isInsertion(into source: ModelConfiguration) -> Bool {
    guard let object = prunedObject else { return false }
    let withLoader = namesLoader(besides: source)
    return source.inserting(bytes[object.byteRange], withLoader: withLoader) == bytes
  }
}
