public import ByteIO
public import LeanKCheckpoint
public import LeanKMask
public import LeanKModel
import TensorFiles

/// The proof that a pruned checkpoint is what its mask makes of the dense one: every tensor is
/// byte-identical or is exactly the rows that the mask asks for, and every other file that a loader
/// may read is there as `convert` writes it.
///
/// The plan is made again from the dense checkpoint and the mask; nothing that the pruned one says
/// about itself is taken for granted.
public struct StructureProof: Sendable {
  /// One thing that is not as it has to be.
  public struct Failure: Sendable, Hashable, CustomStringConvertible {
    /// Name of the tensor or file, nil for what concerns config.json.
    public let place: String?
    /// Head and row where there are some, and what is wrong.
    public let detail: String

    /// `place: detail`, untrusted text escaped.
    public var description: String { (place.map { escaped($0) + ": " } ?? "") + detail }
  }

  /// What is compared with what.
  public struct Request {
    public var dense: CheckpointDirectory
    public var pruned: CheckpointDirectory
    public var mask: ChannelMask
    /// Content id of the mask's file beside the pruned checkpoint.
    public var maskContentID: String
    /// Files that `convert` makes of what it knows; see `KnownFile`.
    public var knownFiles: [KnownFile]

    public init(
      dense: CheckpointDirectory, pruned: CheckpointDirectory, mask: ChannelMask,
      maskContentID: String, knownFiles: [KnownFile] = []
    ) {
      self.dense = dense
      self.pruned = pruned
      self.mask = mask
      self.maskContentID = maskContentID
      self.knownFiles = knownFiles
    }
  }

  /// A file beside the weights that `convert` does not take from the dense checkpoint but makes: a
  /// pruned checkpoint may hold it, with content that `judge` accepts.
  public struct KnownFile: Sendable {
    public enum Verdict: Sendable, Hashable {
      case asWritten
      /// Nothing can be said, and why; listed, no failure.
      case unknown(String)
      case differs(String)
    }

    public var name: String
    /// Most bytes that the file may have.
    public var byteLimit: Int
    public var judge: Judge

    public typealias Judge =
      @Sendable (_ content: [UInt8], _ plan: PruningPlan, _ claim: PrunedConfiguration) -> Verdict

    public init(name: String, byteLimit: Int = 1 << 20, judge: @escaping Judge) {
      self.name = name
      self.byteLimit = byteLimit
      self.judge = judge
    }
  }

  /// Most rows of one tensor that are listed one by one.
  static let rowLimit = 32

  public let layout: PruningLayout
  /// Tensors in the order of the dense checkpoint's files, then config.json, then other files; empty
  /// when the proof holds.
  public let failures: [Failure]
  /// Entries that `convert` did not write and no loader reads, in byte order; folders end in a slash.
  public let additions: [String]
  /// What could not be compared, in sentences.
  public let notes: [String]
  /// The release of leank whose loader lies beside the weights, nil if none does.
  public let loader: String?
  /// Bytes of tensors and files that were compared.
  public let comparedBytes: Int

  public var passed: Bool { failures.isEmpty }

  /// Compares the pruned checkpoint with what the mask makes of the dense one.
  ///
  /// Reads both checkpoints once, and calls `progress` with the bytes compared so far and those to
  /// compare in all; what it throws ends the comparison. Throws where the comparison cannot be made;
  /// what does not hold is in `failures`.
  public static func run(
    _ request: Request,
    progress: (_ done: Int, _ total: Int) throws(PruningError) -> Void = {
      (_, _) throws(PruningError) in
    }
  ) throws(PruningError) -> StructureProof {
    let (dense, pruned) = (request.dense, request.pruned)
    guard let claim = pruned.pruned else {
      throw PruningError(
        .notPruned, "config.json has no object \(quoted(PrunedConfiguration.key))", in: pruned.path)
    }
    let plan = try PruningPlan(source: dense, mask: request.mask, layout: claim.layout)
    let loader = try LoaderFile.check(of: pruned, dense: dense)
    var files = try FileComparison(
      request, plan: plan, claim: claim, hasLoader: loader.isCompared)
    let tensorBytes = plan.shards.reduce(0) { $0 + $1.header.dataLength }
    let total = tensorBytes + files.bytesToCompare
    var tensors = TensorComparison(model: plan.model)
    var failures = try tensors.compare(plan, of: dense, with: pruned) {
      (done) throws(PruningError) in try progress(done, total)
    }
    failures += ConfigurationComparison(request, plan: plan, claim: claim).failures
    failures += loader.failures.map { Failure(place: nil, detail: $0) }
    failures += try files.failures { (done) throws(PruningError) in
      try progress(tensorBytes + done, total)
    }
    try liftingCheckpoint(try dense.checkUnchanged())
    try liftingCheckpoint(try pruned.checkUnchanged())
    return StructureProof(
      layout: claim.layout, failures: failures, additions: files.additions, notes: files.notes,
      loader: loader.release, comparedBytes: tensors.bytes + files.bytes)
  }
}
