public import ArgumentParser
import ByteIO
public import LeanKCheckpoint
import LeanKFormat
import LeanKMask

extension PruningLayout: ExpressibleByArgument {}

/// `leank convert`
struct ConvertCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Apply a mask to a Hugging Face checkpoint and write the pruned one.",
    discussion: """
      Layout rows cuts the rows of K and Q outside the mask's pair closure out of the weights; cache
      leaves the weights as they are for a runtime that caches the kept channels; zeroed sets the K
      rows to 0, so that any runtime can load the result.

      EXAMPLE
        leank convert --model Llama-3.1-8B --mask mask.leank --output Llama-3.1-8B-rows --verify
      """)

  @Option(help: "Directory of the dense checkpoint (config.json and safetensors).")
  var model: String

  @Option(help: "The mask: a .leank file, or .pth, .npy, .npz, .tsv, .safetensors, .json.")
  var mask: String

  @Option(help: "Directory to make. It must not exist, unless --force is given.")
  var output: String

  @Option(help: "rows, cache or zeroed.")
  var layout: PruningLayout = .rows

  @OptionGroup var modeOptions: ModeOptions

  @Flag(help: "Print the plan from headers alone and write nothing.")
  var dryRun = false

  @Flag(help: "Replace an existing output directory.")
  var force = false

  @Flag(help: "Prove the result tensor by tensor before it gets its name.")
  var verify = false

  @Flag(help: "Print the outcome as JSON.")
  var json = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func run(on console: Console) throws -> CInt {
    let source = try CheckpointDirectory(path: model)
    let loaded = try MaskInput.read(mask, for: source)
    let plan = try PruningPlan(source: source, mask: loaded.document.mask, layout: layout)
    let deployment = try deployment(for: loaded.document)
    let beside = try MaskBeside(loaded, plan: plan, deployment: deployment, source: source)

    var conversion = Conversion(
      source: source, plan: plan, output: output, mask: beside.bytes,
      maskContentID: beside.contentID, deployment: deployment)
    conversion.isReplacing = force
    var report = ConversionReport(conversion)
    report.warnings = loaded.notes + plan.warnings + warnings(loaded.document, deployment)
    if !quiet { report.warnings.forEach { console.warn($0) } }
    if dryRun {
      if json { try console.print(json: report) } else { try console.print(report.text) }
      return LeankExit.success
    }

    let progress = ProgressBar(console: console, isShown: !quiet && !json, label: "converting")
    var structure: StructureProof?
    var observer = Conversion.Observer(
      progress: { progress.update($0, of: $1) }, shouldStop: { Interruption.isRequested })
    if verify {
      observer.verify = { (staging: String) throws(CheckpointError) in
        let proof = try StructureProof(
          dense: source, pruned: CheckpointDirectory(path: staging, acceptingIncomplete: true),
          mask: loaded.document.mask, maskContentID: beside.contentID)
        structure = proof
        guard proof.passed else {
          throw CheckpointError(.inconsistent, "the result is not what the mask asks for")
        }
      }
    }
    do {
      Interruption.beginWatching()
      defer { Interruption.endWatching() }
      let result = try conversion.run(observer: observer)
      progress.finish()
      report.complete(with: result, isVerified: structure?.passed)
    } catch {
      progress.finish()
      guard let structure, !structure.passed else { throw error }
      structure.failures.forEach { console.note("leank: \($0)") }
      return LeankExit.difference
    }
    if json { try console.print(json: report) } else if !quiet { try console.print(report.text) }
    return LeankExit.success
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
