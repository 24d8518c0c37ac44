import ByteIO
import LeanKCheckpoint
import LeanKModel

/// Compares the files beside the weights of a pruned checkpoint with what `convert` writes.
struct FileComparison {
  private let request: StructureProof.Request
  private let plan: PruningPlan
  private let claim: PrunedConfiguration
  /// Whether there is a loader that has been compared by its digest.
  private let hasLoader: Bool
  private let carried: CarriedFiles
  /// Entries of the pruned checkpoint.
  private let names: [String]
  /// Entries that `convert` did not write and no loader reads; folders end in a slash.
  private(set) var additions: [String] = []
  private(set) var notes: [String] = []
  /// Bytes compared so far.
  private(set) var bytes = 0

  private static let chunk = 256 << 10

  init(
    _ request: StructureProof.Request, plan: PruningPlan, claim: PrunedConfiguration,
    hasLoader: Bool
  ) throws(PruningError) {
    self.request = request
    self.plan = plan
    self.claim = claim
    self.hasLoader = hasLoader
    let generated =
      [PrunedConfiguration.maskFileName] + request.knownFiles.map(\.name)
      + (hasLoader ? [LoaderFile.fileName] : [])
    carried = try CarriedFiles(of: request.dense, beside: generated)
    names = try lifting(try request.pruned.directory.names())
  }

  /// Bytes of the files that are taken over.
  var bytesToCompare: Int { carried.files.reduce(0) { $0 + $1.file.size } }

  /// What does not hold. Calls `progress` with the bytes compared so far; what it throws ends the
  /// comparison.
  mutating func failures(
    progress: (Int) throws(PruningError) -> Void
  ) throws(PruningError) -> [StructureProof.Failure] {
    var failures: [StructureProof.Failure] = []
    func fail(_ name: String, _ detail: String) {
      failures.append(StructureProof.Failure(place: name, detail: detail))
    }
    // The mask has been read by now, and its content id compared.
    var expected = CarriedFiles.rewritten.union([UTF8Name(claim.maskFile)])
    // What tells staging from an output; only what is still being made is opened with it.
    expected.insert(UTF8Name(StagingDirectory.marker))
    if hasLoader { expected.insert(UTF8Name(LoaderFile.fileName)) }
    for shard in plan.shards { expected.insert(UTF8Name(shard.name)) }
    for (name, file) in carried.files {
      expected.insert(UTF8Name(name))
      if let problem = try compare(name, file, progress) { fail(name, problem) }
    }
    for known in request.knownFiles {
      expected.insert(UTF8Name(known.name))
      guard let content = try self.content(of: known) else {
        notes.append("\(known.name) is not there")
        continue
      }
      switch known.judge(content, plan, claim) {
      case .asWritten: break
      case .unknown(let reason): notes.append("\(known.name) was not compared: \(reason)")
      case .differs(let detail): fail(known.name, detail)
      }
    }
    for name in names where !expected.contains(UTF8Name(name)) {
      let kind = try lifting(try request.pruned.directory.kind(of: name))
      let shown = kind == .directory ? name + "/" : name
      if ForeignFile.mayBeLoaded(shown) {
        fail(shown, "added: convert did not write it, and a loader may read it")
      } else {
        additions.append(shown)
      }
    }
    return failures
  }

  /// What is wrong with the file `name`, nil where it has the bytes of `file`.
  private mutating func compare(
    _ name: String, _ file: PositionalFile, _ progress: (Int) throws(PruningError) -> Void
  ) throws(PruningError) -> String? {
    guard let kind = try lifting(try request.pruned.directory.kind(of: name)) else {
      bytes += file.size
      return "missing, the dense checkpoint has it"
    }
    guard kind == .regular else { return "no regular file" }
    let found = try lifting(try PositionalFile(name: name, in: request.pruned.directory))
    guard found.size == file.size else {
      bytes += file.size
      return "\(found.size) bytes, the dense checkpoint's has \(file.size)"
    }
    var problem: String?
    var done = 0
    while done < file.size {
      let count = min(Self.chunk, file.size - done)
      let dense = try lifting(try file.bytes(at: done, count: count))
      let pruned = try lifting(try found.bytes(at: done, count: count))
      if problem == nil, dense != pruned {
        let first = dense.indices.first { dense[$0] != pruned[$0] } ?? 0
        problem = "differs from the dense checkpoint's from byte \(done + first) on"
      }
      done += count
      bytes += count
      try progress(bytes)
    }
    try lifting(try found.checkUnchanged())
    try lifting(try file.checkUnchanged())
    return problem
  }

  private func content(
    of known: StructureProof.KnownFile
  ) throws(PruningError) -> [UInt8]? {
    do throws(FileError) {
      return try PositionalFile(name: known.name, in: request.pruned.directory)
        .contents(limit: known.byteLimit)
    } catch {
      if error.code == .missing { return nil }
      throw PruningError(error)
    }
  }
}
