public import ByteIO
public import LeanKCheckpoint
public import LeanKMask
public import LeanKModel

/// A planned conversion with all it needs to run.
public struct Conversion: Sendable {
  public let source: CheckpointDirectory
  public let plan: PruningPlan
  /// Directory to make.
  public var output: String
  /// Content of `mask.leank`.
  public var mask: [UInt8]
  /// Content id of that mask, 64 hexadecimal digits.
  public var maskContentID: String
  public var deployment: DeploymentHints
  /// Content of `LEANK.md`, which says how the output was made; nil = no such file.
  public var card: [UInt8]?
  /// Whether an existing output is exchanged for the new one.
  public var isReplacing = false
  /// Most files of weights that are written at once.
  public var threads = 1

  /// Name of the file that says how an output was made.
  public static let cardFileName = "LEANK.md"

  public init(
    source: CheckpointDirectory, plan: PruningPlan, output: String, mask: [UInt8],
    maskContentID: String, deployment: DeploymentHints
  ) {
    self.source = source
    self.plan = plan
    self.output = output
    self.mask = mask
    self.maskContentID = maskContentID
    self.deployment = deployment
  }

  /// What a conversion made.
  public struct Result: Sendable, Hashable {
    /// One file of the output.
    public struct File: Sendable, Hashable {
      public let name: String
      public let bytes: Int
    }

    /// In byte order of names.
    public let files: [File]
    /// Entries of the source that were not taken over, in byte order; folders end in a slash.
    public let leftOut: [String]
    public let warnings: [String]

    public var bytes: Int { files.reduce(0) { $0 + $1.bytes } }
  }

  /// What the world outside takes part in.
  public struct Observer {
    /// Called with the bytes written so far and those to write in all.
    public var progress: (_ done: Int, _ total: Int) -> Void
    /// Asked between two pieces of work; true ends the conversion and removes what it wrote.
    public var shouldStop: () -> Bool
    /// Called with the staging directory when all is written and nothing committed yet; throwing
    /// ends the conversion.
    public var verify: (_ staging: String) throws(PruningError) -> Void

    public init(
      progress: @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in },
      shouldStop: @escaping () -> Bool = { false },
      verify: @escaping (_ staging: String) throws(PruningError) -> Void = {
        (_: String) throws(PruningError) in
      }
    ) {
      self.progress = progress
      self.shouldStop = shouldStop
      self.verify = verify
    }
  }

  /// What a conversion fails with that was asked to stop.
  public var interruption: PruningError {
    PruningError(.interrupted, "interrupted, there is no output", in: output)
  }

  /// What an output will be, found out without writing.
  public struct Preview: Sendable, Hashable {
    /// Size of all its files.
    public let bytes: Int
    /// Entries of the source that are not taken over, in byte order; folders end in a slash.
    public let leftOut: [String]
  }

  /// Looks at all files that would be written or copied.
  public func preview() throws(PruningError) -> Preview {
    let contents = try OutputContents(of: self)
    return Preview(bytes: contents.bytes + plan.bytesOut, leftOut: contents.leftOut)
  }

  /// The object that config.json gets.
  public var configuration: PrunedConfiguration {
    PrunedConfiguration(
      maskContentID: maskContentID, layout: plan.layout, deployment: deployment,
      sourceDigest: source.sourceDigest)
  }

  /// Writes the output into a fresh sibling directory and gives it its name in one last step.
  ///
  /// Whatever fails, there is no output and the staging directory is removed; the source is only
  /// read. Fails with class `unsafeOutput` for an output that exists or touches the source,
  /// `inputChanged` for a source that changed meanwhile.
  public func run(observer: Observer = Observer()) throws(PruningError) -> Result {
    try checkMode()
    return try write(observer: observer)
  }

  /// Makes the output, with the weights' files of `parts` where tasks wrote them before.
  func write(
    observer: Observer, parts: PartsDirectory? = nil
  ) throws(PruningError) -> Result {
    // All inputs are open before anything is made: from here on a change of theirs is seen.
    let contents = try OutputContents(of: self)
    try checkOpenFiles(contents)
    let staging = try lifting(
      try StagingDirectory(for: output, replacing: isReplacing, inputs: [source.directory]))
    let writer = ConversionWriter(
      conversion: self, contents: contents, staging: staging, observer: observer, parts: parts)
    do throws(PruningError) {
      return try writer.run()
    } catch {
      staging.discard()
      throw error
    }
  }

  /// Fails where what is written could not be opened beside what is read, which would else show only
  /// when all is written.
  private func checkOpenFiles(_ contents: OutputContents) throws(PruningError) {
    // Beside the weights: two directories each, configuration, index, streams, and some to spare.
    let needed = 2 * plan.shards.count + contents.others.count + 32
    guard let limit = OpenFiles.limit, limit < needed else { return }
    throw PruningError(
      .openFiles,
      "\(plan.shards.count) files of weights take up to \(needed) open files, the limit is \(limit), "
        + "raise it with ulimit -n", in: source.path)
  }

  /// Fails on a mode that the layout cannot have.
  func checkMode() throws(PruningError) {
    guard plan.layout == .cache || deployment.mode == .static else {
      throw PruningError(
        .inconsistent, "mode windowed with layout \(plan.layout.rawValue), which is always static")
    }
  }
}
