public import ArgumentParser
import ByteIO
import LeanKCheckpoint
import LeanKFormat
import LeanKMask
public import LeanKModel
public import LeanKPruning
import LeanKReport

extension PruningLayout: ExpressibleByArgument {}

extension ShardPart: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

/// `leank convert`
struct ConvertCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Apply a mask to a Hugging Face checkpoint and write the pruned one.",
    discussion: """
      Layout rows cuts the rows of K and Q outside the mask's pair closure out of the weights; cache \
      leaves the weights as they are for a runtime that caches the kept channels; zeroed sets the K \
      rows to 0, so that any runtime can load the result.

      EXAMPLE
        leank convert --model Llama-3.1-8B --mask mask.leank --output OUT --verify

      Many tasks of a batch scheduler convert a large checkpoint on a shared file system: each runs \
      with its --shard K/N, in any order and again after a failure, and one last run with --commit \
      makes the output of the parts, the same bytes as a single run.

        leank convert --model M --mask mask.leank --output OUT --shard 3/8
        leank convert --model M --mask mask.leank --output OUT --commit
      """)

  @Option(help: "Directory of the dense checkpoint (config.json and safetensors).")
  var model: String

  @Option(help: "The mask: a .leank file, or .pth, .npy, .npz, .tsv, .safetensors, .json.")
  var mask: String

  @OptionGroup var instanceOptions: InstanceOptions

  @Option(help: "Directory to make. It must not exist, unless --force is given.")
  var output: String

  @Option(help: "What is done to the weights.")
  var layout: PruningLayout = .rows

  @OptionGroup var modeOptions: ModeOptions

  @Flag(help: "Print the plan from headers alone and write nothing.")
  var dryRun = false

  @Option(
    help:
      "Context in tokens at which the cache is measured; may be repeated (default: 4096, 32768 and 131072, up to the model's own)."
  )
  var context: [Int] = []

  @Option(
    help:
      "Convert one part of the weights, K/N, beside the output, for --commit to finish (default: all)."
  )
  var shard: ShardPart?

  @Flag(help: "Make the output of the parts that runs with --shard converted.")
  var commit = false

  @Option(
    help: "Files of weights to write at once (default: one for each processor, up to 4).")
  var threads: Int?

  @Flag(help: "Replace an existing output directory that is a checkpoint (has a config.json).")
  var force = false

  @Flag(help: "Replace an existing output directory, whatever is in it.")
  var forceAny = false

  @Flag(help: "Prove the result tensor by tensor before it gets its name.")
  var verify = false

  @Flag(help: "Print the outcome as JSON.")
  var json = false

  @Flag(
    help:
      "Leave out modeling_leank.py, with which transformers opens the result, and auto_map in config.json."
  )
  var noLoader = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    guard context.allSatisfy({ (1...ReportSubject.contextLimit).contains($0) }) else {
      throw ValidationError(
        "--context is a number of tokens from 1 to \(ReportSubject.contextLimit)")
    }
    guard (1...1024).contains(threads ?? 1) else {
      throw ValidationError("--threads is a number from 1 to 1024")
    }
    guard shard == nil || !commit else {
      throw ValidationError("--shard and --commit are different runs")
    }
    guard shard == nil || !verify else {
      throw ValidationError("--verify needs all parts: give it with --commit")
    }
  }

  func run(on console: Console) throws -> CInt {
    let source = try CheckpointDirectory(path: model)
    let loaded = try MaskInput.read(mask, for: source, instance: instanceOptions.chosen)
    let plan = try PruningPlan(source: source, mask: loaded.document.mask, layout: layout)
    let deployment = try deployment(for: loaded.document)
    let beside = try ConvertedMask(loaded, plan: plan, deployment: deployment, source: source)

    var conversion = Conversion(
      source: source, plan: plan, output: output, mask: beside.bytes,
      maskContentID: beside.contentID, deployment: deployment)
    conversion.replacement =
      forceAny
      ? .anyDirectory : force ? .directory(holding: ModelConfiguration.fileName) : .nothing
    conversion.loader = noLoader ? nil : LoaderFile.bytes
    // What would be refused at the end, or in a real run.
    try conversion.checkOutput()
    conversion.threads = threads ?? min(4, Machine.processors)
    let card = try ModelCard(
      plan: plan, deployment: deployment, maskContentID: beside.contentID,
      source: source.sourceDigest, hasLoader: !noLoader)
    conversion.card = Array(card.text.utf8)
    var report = try ConversionReport(conversion, part: shard, contexts: context)
    report.warnings =
      loaded.notes + plan.warnings + loaded.document.provenance.warnings(for: source, mask)
      + warnings(loaded.document, deployment)
    if !quiet { report.warnings.forEach { console.warn($0) } }
    if !dryRun {
      guard try execute(conversion, beside.mask, &report, on: console) else {
        return LeankExit.difference
      }
    }
    if json {
      try console.print(json: report)
    } else if dryRun || !quiet {
      try console.print(report.text)
    }
    return LeankExit.success
  }

  /// Runs the conversion; false when the result is not what the mask asks for.
  private func execute(
    _ conversion: Conversion, _ mask: ChannelMask, _ report: inout ConversionReport,
    on console: Console
  ) throws -> Bool {
    let progress = ProgressBar(console: console, isShown: !quiet && !json, label: "converting")
    var structure: StructureProof?
    var observer = Conversion.Observer(
      progress: { progress.update($0, of: $1) }, shouldStop: { Interruption.isRequested })
    if verify {
      observer.verify = { (staging: String) throws(PruningError) in
        progress.finish()
        let comparing = ProgressBar(
          console: console, isShown: !quiet && !json, label: "comparing")
        defer { comparing.finish() }
        let pruned: CheckpointDirectory
        do throws(CheckpointError) {
          pruned = try CheckpointDirectory(path: staging, acceptingIncomplete: true)
        } catch {
          throw PruningError(error)
        }
        let proof = try StructureProof.run(
          StructureProof.Request(
            dense: conversion.source, pruned: pruned, mask: mask,
            maskContentID: conversion.maskContentID, knownFiles: [ModelCard.known])
        ) { (done, total) throws(PruningError) in
          comparing.update(done, of: total)
          if Interruption.isRequested { throw conversion.interruption }
        }
        structure = proof
        guard proof.passed else {
          throw PruningError(.inconsistent, "the result is not what the mask asks for")
        }
      }
    }
    do {
      Interruption.beginWatching()
      defer { Interruption.endWatching() }
      if let shard {
        let result = try conversion.run(part: shard, observer: observer)
        progress.finish()
        report.complete(with: result)
      } else {
        let result =
          commit
          ? try conversion.commit(observer: observer) : try conversion.run(observer: observer)
        progress.finish()
        report.complete(with: result, isVerified: structure?.passed)
      }
      return true
    } catch {
      progress.finish()
      guard let structure, !structure.passed else { throw error }
      structure.failures.forEach { console.note("leank: \($0)") }
      return false
    }
  }

  /// Rows and zeroed weights are static whatever the mask hints at.
  private func deployment(for document: MaskDocument) throws -> DeploymentHints {
    guard layout != .cache else { return try modeOptions.resolve(hints: document.deployment) }
    let asked = try modeOptions.resolve(hints: .static)
    guard asked.mode == .static else {
      throw UsageError(
        "--mode windowed needs --layout cache: \(layout.rawValue) applies the mask to every token")
    }
    return asked
  }

  private func warnings(_ document: MaskDocument, _ deployment: DeploymentHints) -> [String] {
    guard case .windowed = document.deployment, deployment.mode == .static else { return [] }
    return [
      "this mask was made for windowed use, where the prompt and recent tokens see whole keys; "
        + "layout \(layout.rawValue) prunes every token's keys, which can cost much accuracy: compare "
        + "with leank verify, or use --layout cache"
    ]
  }
}
