public import ArgumentParser
import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKFormat
public import LeanKMask
import LeanKModel
import LeanKReport

extension Alignment.Rule: ExpressibleByArgument {
  /// The rules that choose; `given` only records.
  public static var allValueStrings: [String] { [Self.leank, .budget].map(\.rawValue) }
}

extension MaskSelection.Budget: ExpressibleByArgument {}

/// `leank mask`
struct MaskCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "mask",
    abstract: "Choose the channels to keep from importance scores.",
    discussion: """
      Rule leank is the official one: a threshold at the quantile of all scores, then each head's \
      count to the nearest multiple of --align, so that the pruned share can drift from --ratio. Rule \
      budget meets it to within one group. With --pairs the two channels that RoPE rotates together \
      are kept or pruned together, so that rows cut from a checkpoint save as much as the cache does.

      Several ratios make one file with a mask for each, the first one being the main mask, or with \
      --separate a file each: --output mask.leank gives mask-0.5.leank and so on.

      EXAMPLE
        leank mask alpha.tsv --model M --ratio 0.7 --align 32 --output mask.leank
        leank mask scores.npy --ratio 0.5 --ratio 0.7 --align 16 --output r.leank
      """)

  @Argument(
    help: "The scores: .tsv, .npy, .npz, .pth, .safetensors, .json, or a .leank file that has some."
  )
  var scores: String

  @Option(help: "Checkpoint the mask is for: gives the geometry; needed for .tsv (default: none).")
  var model: String?

  @OptionGroup var instanceOptions: InstanceOptions

  @Option(help: "Share of the channels to prune, 0 to 1; may be repeated.")
  var ratio: [Double]

  @Option(help: "Every head keeps a multiple of this many channels, or all it has.")
  var align: Int

  @Option(help: "How channels are chosen; see above.")
  var rule: Alignment.Rule = .leank

  @Option(
    help:
      "Rule budget: count groups by the sum of their scores, or with log by their product, for scores of at least 0 (default: sum). By measured errors only leank learn can, which has the model."
  )
  var budget: MaskSelection.Budget?

  @Flag(help: "Keep or prune both channels of a rotary pair.")
  var pairs = false

  @Option(help: "The .leank file to write; it holds the scores too.")
  var output: String

  @Flag(help: "With several ratios: write a file each.")
  var separate = false

  @OptionGroup var scoresKind: ScoresKindOptions

  @OptionGroup var modeOptions: ModeOptions

  @Flag(help: "Replace an existing output file.")
  var force = false

  func validate() throws {
    guard rule != .given else { throw ValidationError("--rule is leank or budget") }
    guard budget == nil || rule == .budget else {
      throw ValidationError("--budget says how --rule budget counts")
    }
    guard Set(ratio).count == ratio.count else {
      throw ValidationError("--ratio is given twice with the same value")
    }
  }

  func run(on console: Console) throws -> CInt {
    let files = MaskFiles(output: output, isSeparate: separate, force: force)
    try files.check(ratio)
    let checkpoint = try model.map { try CheckpointDirectory(path: $0) }
    let geometry = try checkpoint?.geometry(checkingShapes: false).geometries
    let found = try MaskInput.scores(
      scores, geometry: geometry, instance: instanceOptions.chosen, kind: scoresKind.kind)
    found.notes.forEach { console.warn($0) }
    let documents = try ratio.map { ratio in
      let selection = try choose(found.values, geometry ?? found.layers, ratio)
      selection.warnings.forEach { console.warn($0.description) }
      var document = try MaskDocument(
        mask: selection.mask, alignment: selection.alignment, scores: found.values)
      if modeOptions.isGiven { document.deployment = try modeOptions.resolve() }
      document.provenance.record(source: scores, bytes: found.bytes, model: checkpoint)
      document.provenance[Provenance.recipe] =
        "leank mask --ratio \(ratio) --align \(align) --rule \(rule.rawValue)"
        + (budget.map { " --budget \($0.rawValue)" } ?? "") + (pairs ? " --pairs" : "")
      return document
    }
    for line in try files.write(ratio, documents) { try console.print(line) }
    return LeankExit.success
  }

  /// A ratio, unit or rule that cannot be is the command line's fault, scores that do not fit the
  /// file's.
  private func choose(
    _ scores: ImportanceScores, _ layers: [LayerGeometry], _ ratio: Double
  ) throws -> MaskSelection {
    do throws(MaskError) {
      return try MaskSelection(
        scores: scores, layers: layers, ratio: ratio, unit: align, rule: rule,
        budget: budget ?? .sum, pairs: pairs)
    } catch {
      guard error.code == .alignment else { throw error }
      throw UsageError(error.description)
    }
  }
}
