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
    guard Set(ratio).count == ratio.count else {
      throw ValidationError("--ratio is given twice with the same value")
    }
  }

  func run(on console: Console) throws -> CInt {
    try checkOutputFile(output, replacing: force)
    let checkpoint = try model.map { try CheckpointDirectory(path: $0) }
    let geometry = try checkpoint?.geometryDescription.geometries
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
        + (pairs ? " --pairs" : "")
      return document
    }
    let files =
      separate
      ? zip(ratio, documents).map { (path(of: $0), [$1]) } : [(output, documents)]
    try write(files.map { ($0, try LeankFile.encode(instances: $1)) }, on: console)
    return LeankExit.success
  }

  /// The file of one ratio: `mask.leank` becomes `mask-0.7.leank`.
  private func path(of ratio: Double) -> String {
    let suffix = ".leank"
    let isNamed = output.hasSuffix(suffix)
    return (isNamed ? String(output.dropLast(suffix.count)) : output) + "-\(ratio)" + suffix
  }

  /// Writes all files, or none where the name of one is taken.
  private func write(
    _ files: [(path: String, encoded: (bytes: [UInt8], file: LeankFile))], on console: Console
  ) throws {
    if !force, files.count > 1,
      let taken = files.first(where: { FileManager.default.fileExists(atPath: $0.path) })
    {
      throw FileError(.exists, "output exists, use --force to replace it", in: taken.path)
    }
    for (path, encoded) in files {
      try writeFileAtomically(encoded.bytes.span, to: path, replacing: force)
      let all = encoded.file.instances.map { MaskStatistics(of: $0.mask) }
      func percents(_ share: (MaskStatistics) -> Double) -> String {
        all.map { Formatting.percent(share($0)) }.joined(separator: ", ")
      }
      try console.print(
        "wrote \(escaped(path, limit: 4096)), \(Formatting.count(encoded.bytes.count)) bytes: "
          + (all.count > 1 ? "\(all.count) masks, " : "")
          + "pruned \(percents(\.prunedRatio)) of the channels, rows "
          + percents { 1 - $0.closureKeptRatio })
    }
  }

  /// A ratio, unit or rule that cannot be is the command line's fault, scores that do not fit the
  /// file's.
  private func choose(
    _ scores: ImportanceScores, _ layers: [LayerGeometry], _ ratio: Double
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
