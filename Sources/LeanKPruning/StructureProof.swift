public import ByteIO
public import LeanKCheckpoint
public import LeanKMask
public import LeanKModel
import TensorFiles

/// The proof that a pruned checkpoint is what its mask makes of the dense one: every tensor is
/// byte-identical, or is exactly the rows that the mask asks for.
///
/// The plan is made again from the dense checkpoint and the mask; nothing that the pruned one says
/// about itself is taken for granted.
public struct StructureProof: Sendable {
  /// One thing that is not as it has to be.
  public struct Failure: Sendable, Hashable, CustomStringConvertible {
    /// Name of the tensor, nil for what concerns config.json.
    public let tensor: String?
    /// Head and row where there are some, and what is wrong.
    public let detail: String

    /// `tensor: detail`, untrusted text escaped.
    public var description: String { (tensor.map { escaped($0) + ": " } ?? "") + detail }
  }

  /// Most rows of one tensor that are listed one by one.
  static let rowLimit = 32

  public let layout: PruningLayout
  /// In the order of the dense checkpoint's files; empty when the proof holds.
  public let failures: [Failure]
  /// Bytes of tensor data that were compared.
  public let comparedBytes: Int

  public var passed: Bool { failures.isEmpty }

  /// Compares `pruned` with what `mask` makes of `dense`.
  ///
  /// `maskContentID` is that of the mask's file beside the pruned checkpoint. Reads both checkpoints
  /// once, and calls `progress` with the bytes compared so far and those to compare in all; what it
  /// throws ends the comparison. Throws where the comparison cannot be made; what does not hold is in
  /// `failures`.
  public init(
    dense: CheckpointDirectory, pruned: CheckpointDirectory, mask: ChannelMask,
    maskContentID: String,
    progress: (_ done: Int, _ total: Int) throws(PruningError) -> Void = {
      (_, _) throws(PruningError) in
    }
  ) throws(PruningError) {
    guard let claim = pruned.pruned else {
      throw PruningError(
        .notPruned, "config.json has no object \(quoted(PrunedConfiguration.key))", in: pruned.path)
    }
    layout = claim.layout
    let plan = try PruningPlan(source: dense, mask: mask, layout: claim.layout)
    var failures = Self.checkConfiguration(dense, pruned, claim, maskContentID)
    var planned: Set<String> = []
    var comparison = TensorComparison(model: plan.model.description)
    let total = plan.shards.reduce(0) { $0 + $1.header.dataLength }
    for (shard, source) in zip(plan.shards, dense.shards) {
      for tensor in shard.tensors {
        let name = tensor.source.name
        planned.insert(name)
        guard let found = pruned.tensor(name) else {
          failures.append(Failure(tensor: name, detail: "missing"))
          continue
        }
        guard found.info.scalar == tensor.source.scalar, found.info.shape == tensor.shape else {
          failures.append(
            Failure(
              tensor: name,
              detail: "expected \(tensor.source.scalar.rawValue) \(tensor.shape), found "
                + "\(found.info.scalar.rawValue) \(found.info.shape)"))
          continue
        }
        failures += try comparison.compare(tensor, of: source.file, with: found) {
          (done) throws(PruningError) in try progress(done, total)
        }
      }
    }
    for shard in pruned.shards {
      for tensor in shard.file.header.tensors where !planned.contains(tensor.name) {
        failures.append(Failure(tensor: tensor.name, detail: "not in the dense checkpoint"))
      }
    }
    try liftingCheckpoint(try dense.checkUnchanged())
    try liftingCheckpoint(try pruned.checkUnchanged())
    self.failures = failures
    comparedBytes = comparison.bytes
  }

  private static func checkConfiguration(
    _ dense: CheckpointDirectory, _ pruned: CheckpointDirectory, _ claim: PrunedConfiguration,
    _ maskContentID: String
  ) -> [Failure] {
    var failures: [Failure] = []
    func fail(_ detail: String) { failures.append(Failure(tensor: nil, detail: detail)) }
    if claim.maskContentID != maskContentID {
      fail(
        "config.json names the mask \(claim.maskContentID), the mask beside it is \(maskContentID)")
    }
    let digest = dense.sourceDigest
    if claim.sourceDigest != digest {
      fail("config.json names the source \(claim.sourceDigest), the dense checkpoint is \(digest)")
    }
    if !pruned.configuration.isInsertion(into: dense.configuration) {
      fail("config.json differs from the dense one in more than the object leank")
    }
    return failures
  }
}
