import LeanKMask
import LeanKModel
import LeanKPruning
import LeanKReport

/// `LEANK.md`, which tells whoever finds a pruned checkpoint what it is and how to check it.
///
/// Made from the inputs alone: no time, no paths, so that the same inputs give the same bytes. What it
/// says follows from the dense checkpoint, the mask beside it and the object in config.json, so that
/// `verify` can make it again.
struct ModelCard {
  let text: String

  /// The versions whose card this one can make again.
  private static let versions = [leankVersion]
  private static let title = "# Pruned with leank "

  init(
    plan: PruningPlan, deployment: DeploymentHints, maskContentID: String, source: String,
    hasLoader: Bool, version: String = leankVersion
  ) throws(MaskError) {
    let isZeroed = plan.layout == .zeroed
    // The mask beside zeroed weights is the closure.
    let statistics = MaskStatistics(of: isZeroed ? try plan.mask.closed : plan.mask)
    let layout =
      switch plan.layout {
      case .rows: "rows: the rows of K and Q outside the mask and its RoPE partners are cut out"
      case .cache:
        "cache: the weights are those of the dense checkpoint, the runtime prunes the K cache"
      case .zeroed: "zeroed: the rows of K outside the mask and its RoPE partners are 0"
      }
    let mode =
      switch deployment {
      case .static: "static: every query and key uses the kept channels only"
      case .windowed(let window):
        "windowed: the first \(window.sink) and latest \(window.recent) keys are whole (accumulate "
          + "\(window.accumulate)), those between keep the mask's channels"
          + (window.prefill == .dense ? "" : "; in the prompt too")
          + (window.emptyHeads == .absent ? "" : "; where a head keeps none they score 0")
      }
    func change(_ before: Int, _ after: Int) -> String {
      "\(Formatting.count(before)) -> \(Formatting.count(after)) bytes"
    }
    let dense = plan.cacheCost.densePerToken.keys
    let cache =
      isZeroed
      ? "\(Formatting.count(dense)) bytes a token, as in the dense checkpoint: zeroed rows are cached "
        + "like all others"
      : change(dense, plan.cacheCost.perToken(deployment).keys) + " a token"
        + (deployment.mode == .windowed ? " between the whole ones" : "")
    let rows = [
      ("layout", layout),
      ("mode", mode),
      ("mask", "`\(PrunedConfiguration.maskFileName)`, content id `\(maskContentID)`"),
      (
        "kept",
        "\(Formatting.percent(1 - statistics.prunedRatio)) of the K channels, with RoPE partners "
          + Formatting.percent(statistics.closureKeptRatio)
      ),
      ("weights", change(plan.bytesIn, plan.bytesOut)),
      ("K cache", cache),
      ("dense checkpoint", "SHA-256 of its config.json and shard headers: `\(source)`"),
    ]
    let opening =
      hasLoader
      ? """

      To open it in transformers with the smaller cache (`\(LoaderFile.fileName)` is leank's loader):

      ```
      AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)
      ```

      """ : ""
    text = """
      \(Self.title)\(version)

      The K cache of this model keeps a part of its channels, chosen by a mask; the rest of the model
      is that of the dense checkpoint it was made from.

      | what | |
      |---|---|
      \(rows.map { "| \($0.0) | \($0.1) |" }.joined(separator: "\n"))

      To look at the mask, and to prove this folder against the dense checkpoint `DENSE`:

      ```
      leank inspect .
      leank verify DENSE . --structure-only
      leank verify DENSE .
      ```
      \(opening)
      """
  }

  /// What `verify` accepts as the file.
  static let known = StructureProof.KnownFile(name: Conversion.cardFileName) {
    content, plan, claim in
    let found = String(decoding: content, as: UTF8.self)
    let version = found.prefix { $0 != "\n" }
    guard version.hasPrefix(title) else { return .differs("does not begin as convert writes it") }
    let writer = String(version.dropFirst(title.count))
    guard versions.contains(writer) else {
      return .unknown("leank \(writer) wrote it, and this is \(leankVersion)")
    }
    // With the loader and without it; whether it is there is another file's matter.
    let cards = [true, false].compactMap { hasLoader in
      try? ModelCard(
        plan: plan, deployment: claim.deployment, maskContentID: claim.maskContentID,
        source: claim.sourceDigest, hasLoader: hasLoader, version: writer)
    }.map { Array($0.text.utf8) }
    guard let wanted = cards.first else { return .differs("describes a mask that cannot be") }
    guard !cards.contains(content) else { return .asWritten }
    let lines = zip(
      content.split(separator: 0x0A, omittingEmptySubsequences: false),
      wanted.split(separator: 0x0A, omittingEmptySubsequences: false))
    let same = lines.prefix { $0 == $1 }.count
    return .differs("line \(same + 1) is not what leank \(writer) writes")
  }
}
