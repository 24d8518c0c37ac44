import ByteIO
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import StrictJSON

/// What config.json, the index and the mask of a pruned checkpoint say, beside what `convert` writes.
struct ConfigurationComparison {
  private(set) var failures: [StructureProof.Failure] = []

  init(_ request: StructureProof.Request, plan: PruningPlan, claim: PrunedConfiguration) {
    checkClaim(claim, request)
    checkObject(claim, request)
    checkIndex(request.pruned.index, plan)
    if claim.layout == .zeroed { checkClosure(plan.mask, claim.maskFile) }
  }

  private mutating func fail(_ place: String? = nil, _ detail: String) {
    failures.append(StructureProof.Failure(place: place, detail: detail))
  }

  private mutating func checkClaim(
    _ claim: PrunedConfiguration, _ request: StructureProof.Request
  ) {
    if claim.maskContentID != request.maskContentID {
      fail(
        nil,
        "config.json names the mask \(claim.maskContentID), the mask beside it is "
          + request.maskContentID)
    }
    let digest = request.dense.sourceDigest
    if claim.sourceDigest != digest {
      fail(
        nil,
        "config.json names the source \(claim.sourceDigest), the dense checkpoint is \(digest)")
    }
  }

  /// The object `leank` has the members that `convert` writes and no others, and the rest of
  /// config.json is the dense one's.
  private mutating func checkObject(
    _ claim: PrunedConfiguration, _ request: StructureProof.Request
  ) {
    let found = request.pruned.configuration
    guard found.isInsertion(into: request.dense.configuration) else {
      fail(
        nil, "config.json differs from the dense one in more than the object leank and its loader")
      return
    }
    var written = claim
    written.maskFile = PrunedConfiguration.maskFileName
    let text = Array(written.json.utf8)
    guard let object = found.prunedObject, found.bytes[object.byteRange] != text[...],
      let expected = try? JSONDocument(text)
    else { return }
    let before = failures.count
    for (key, value) in object.children {
      guard let wanted = expected.root[key] else {
        fail(nil, "config.json: leank has a member \(quoted(key)), which convert does not write")
        continue
      }
      let (mine, theirs) = (wanted.text, value.text)
      if mine != theirs {
        fail(
          nil,
          "config.json: leank has \(escaped(theirs)) for \(quoted(key)), convert writes "
            + escaped(mine))
      }
    }
    if failures.count == before {
      fail(nil, "config.json: the object leank is not spelled as convert writes it")
    }
  }

  private mutating func checkIndex(_ found: ShardIndex?, _ plan: PruningPlan) {
    let name = ShardIndex.fileName
    guard let expected = plan.index else {
      if found != nil { fail(name, "the dense checkpoint has no index") }
      return
    }
    guard let found else {
      fail(name, "missing")
      return
    }
    guard found.bytes != expected, let wanted = try? ShardIndex(expected, path: name) else {
      return
    }
    let before = failures.count
    if found.totalSize != wanted.totalSize {
      func text(_ size: Double?) -> String { size.map { String(Int($0)) } ?? "none" }
      fail(
        name,
        "expected a total_size of \(text(wanted.totalSize)), found \(text(found.totalSize))")
    }
    for (tensor, shard) in wanted.weightMap
    where found.weightMap[tensor].map({ UTF8Name($0) }) != UTF8Name(shard) {
      fail(name, "names another file for the tensor \(quoted(tensor.text))")
      break
    }
    if failures.count == before { fail(name, "differs from what convert writes") }
  }

  /// Zeroed weights compute the closure, so their mask is one.
  private mutating func checkClosure(_ mask: ChannelMask, _ file: String) {
    for (index, layer) in mask.layers.enumerated() {
      for (head, (kept, closure)) in zip(layer.heads, layer.closure).enumerated()
      where kept != closure {
        let channel = closure.channels.first { !kept[$0] } ?? 0
        fail(
          file,
          "layer \(index), KV head \(head) lacks channel \(channel), whose RoPE partner it keeps: "
            + "zeroed weights compute both")
        return
      }
    }
  }
}

extension JSONValue {
  /// A number or string as it is compared and shown.
  fileprivate var text: String {
    switch kind {
    case .string: "\"" + (string ?? "") + "\""
    case .number: numberText ?? ""
    default: kind.rawValue
    }
  }
}
