import LeanKFormat

/// A file is refused, or says the same when written again; a part of it says the same too.
func leankRead(_ bytes: [UInt8]) {
  guard let file = try? LeankFile(bytes) else { return }
  checkRewrite(of: file)
  for instance in file.instances.indices {
    let part = try? PartialLeankFile(
      byteCount: bytes.count, instance: instance,
      parts: [.alignment, .scores, .deployment, .provenance]
    ) { Array(bytes[$0]) }
    precondition(part?.document == file.instances[instance], "a part says something else")
  }
}

/// What was read is written and says the same; each mask alone has its identity.
func checkRewrite(of file: LeankFile) {
  guard let again = try? LeankFile.encode(instances: file.instances, replacing: file) else {
    fatalError("read but not written")
  }
  precondition(again.file.instances == file.instances, "read again differently")
  precondition(again.file.identities == file.identities, "other identities")
  guard let last = file.identities.indices.last, let alone = try? file.alone(instance: last)
  else { fatalError("read but not written alone") }
  precondition(alone.file.contentID == file.identities[last], "another identity alone")
}
