import ArgumentParser
import ByteIO
import LeanKMask
import LeanKReport

/// `leank diff`
struct DiffCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compare two masks, or the masks of two pruned checkpoints.",
    discussion: """
      Exit code 1 when geometry, kept channels, alignment, scores or deployment differ. Provenance \
      is shown, but makes no difference.

      Of files with several masks, --instance chooses: given once for both, given twice for the first \
      and the second.

      EXAMPLE
        leank diff stage1.leank stage2.leank
        leank diff ratios.leank ratios.leank --instance 0 --instance 2
      """)

  @Argument(help: "A mask, or the directory of a pruned checkpoint.")
  var first: String

  @Argument(help: "Another one.")
  var second: String

  @Option(
    help: "Which mask of a file that holds several, counted from 0 (default: 0, the main one).")
  var instance: [Int] = []

  @Flag(help: "Print every number as JSON.")
  var json = false

  func validate() throws {
    guard instance.count <= 2, instance.allSatisfy({ $0 >= 0 }) else {
      throw ValidationError("--instance is a number of at least 0, given at most twice")
    }
  }

  func run(on console: Console) throws -> CInt {
    let comparison = MaskComparison(
      try document(first, instance.first ?? 0, on: console),
      try document(second, instance.last ?? 0, on: console))
    if json {
      try console.print(json: DiffReport(comparison))
    } else {
      let text = ComparisonText(comparison, first: first, second: second)
      try console.print(text.lines.joined(separator: "\n"))
    }
    return comparison.isEqual ? LeankExit.success : LeankExit.difference
  }

  private func document(
    _ path: String, _ instance: Int, on console: Console
  ) throws -> MaskDocument {
    guard case .mask(let mask) = try InspectSource(path: path, instance: instance) else {
      throw CommandError(.malformed, "\(escaped(path, limit: 4096)): a checkpoint without a mask")
    }
    mask.notes.forEach { console.warn($0) }
    return mask.document
  }
}

/// What `diff` found; the property names are the keys of `--json`.
struct DiffReport: Encodable {
  struct Overlap: Encodable {
    var jaccard: Double
    var both: Int
    var onlyFirst: Int
    var onlySecond: Int

    init(_ agreement: Agreement) {
      jaccard = agreement.jaccard
      both = agreement.both
      onlyFirst = agreement.onlyFirst
      onlySecond = agreement.onlySecond
    }
  }

  struct Head: Encodable {
    var layer: Int
    var head: Int
    var firstCount: Int
    var secondCount: Int
    var overlap: Overlap
  }

  var equal: Bool
  var geometryMismatch: [String]
  /// null where shapes differ.
  var mask: Nullable<Overlap>
  var layers: [Overlap]
  var frequencies: [Overlap]
  /// By quarter of the frequencies, the fastest first.
  var frequencyQuarters: [Overlap]
  /// KV heads of the mask; `heads` are those that differ.
  var headCount: Int
  var heads: [Head]
  var records: [MaskComparison.RecordChange]
  var remarks: [MaskComparison.RecordChange]

  init(_ comparison: MaskComparison) {
    equal = comparison.isEqual
    geometryMismatch = comparison.geometryMismatch
    mask = Nullable(comparison.geometryMismatch.isEmpty ? Overlap(comparison.overall) : nil)
    layers = comparison.layers.map(Overlap.init)
    frequencies = comparison.frequencies.map(Overlap.init)
    frequencyQuarters = comparison.quarters.map(Overlap.init)
    headCount = comparison.headCount
    heads = comparison.heads.map {
      Head(
        layer: $0.layer, head: $0.head, firstCount: $0.firstCount, secondCount: $0.secondCount,
        overlap: Overlap($0.agreement))
    }
    records = comparison.records
    remarks = comparison.remarks
  }
}
