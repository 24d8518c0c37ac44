public import ArgumentParser
import ByteIO
import LeanKCheckpoint
import LeanKFormat
public import LeanKMask
import LeanKModel
import LeanKReport

extension Alignment.Rule: ExpressibleByArgument {
  /// The rules that choose; `given` only records.
  public static var allValueStrings: [String] { [Self.leank, .budget].map(\.rawValue) }
}

/// `leank mask`
struct MaskCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "mask",
    abstract: "Choose the channels to keep from importance scores.",
    discussion: """
      Rule leank is the official one: a threshold at the quantile of all scores, then each head's
      count to the nearest multiple of --align, so that the pruned share can drift from --ratio. Rule
      budget meets it to within one group. With --pairs the two channels that RoPE rotates together
      are kept or pruned together, so that rows cut from a checkpoint save as much as the cache does.

      EXAMPLE
        leank mask scaling_factors.tsv --model Llama-3.1-8B --ratio 0.7 --align 32 --output mask.leank
      """)

  @Argument(
    help: "The scores: .tsv, .npy, .npz, .pth, .safetensors, .json, or a .leank file that has some."
  )
  var scores: String

  @Option(help: "Checkpoint the mask is for: gives the geometry. Needed for .tsv.")
  var model: String?

  @Option(help: "Share of the channels to prune, 0 to 1.")
  var ratio: Double

  @Option(help: "Every head keeps a multiple of this many channels, or all it has.")
  var align: Int

  @Option(help: "leank or budget.")
  var rule: Alignment.Rule = .leank

  @Flag(help: "Keep or prune both channels of a rotary pair.")
  var pairs = false

  @Option(help: "The .leank file to write; it holds the scores too.")
  var output: String

  @OptionGroup var modeOptions: ModeOptions

  @Flag(help: "Replace an existing output file.")
  var force = false

  func validate() throws {
    guard rule != .given else { throw ValidationError("--rule is leank or budget") }
  }

  func run(on console: Console) throws -> CInt {
    let checkpoint = try model.map { try CheckpointDirectory(path: $0) }
    let geometry = try checkpoint?.geometryDescription.geometries
    let found = try MaskInput.scores(scores, geometry: geometry)
    let selection = try choose(found.values, geometry ?? found.layers)
    var document = try MaskDocument(
      mask: selection.mask, alignment: selection.alignment, scores: found.values)
    if modeOptions.isGiven { document.deployment = try modeOptions.resolve() }
    document.provenance.record(source: scores, bytes: found.bytes, model: checkpoint)
    document.provenance[Provenance.recipe] =
      "leank mask --ratio \(ratio) --align \(align) --rule \(rule.rawValue)"
      + (pairs ? " --pairs" : "")
    found.notes.forEach { console.warn($0) }
    selection.warnings.forEach { console.warn($0.description) }
    let encoded = try LeankFile.encode(document)
    try writeFileAtomically(encoded.bytes.span, to: output, replacing: force)
    let statistics = MaskStatistics(of: selection.mask)
    try console.print(
      "wrote \(escaped(output, limit: 4096)), \(Formatting.count(encoded.bytes.count)) bytes: pruned "
        + "\(Formatting.percent(statistics.prunedRatio)) of the channels, rows "
        + "\(Formatting.percent(1 - statistics.closureKeptRatio))")
    return LeankExit.success
  }

  /// A ratio, unit or rule that cannot be is the command line's fault, scores that do not fit the
  /// file's.
  private func choose(
    _ scores: ImportanceScores, _ layers: [LayerGeometry]
  ) throws -> MaskSelection {
    do throws(MaskError) {
      return try MaskSelection(
        scores: scores, layers: layers, ratio: ratio, unit: align, rule: rule, pairs: pairs)
    } catch {
      guard error.code == .alignment else { throw error }
      throw UsageError(error.description)
    }
  }
}
