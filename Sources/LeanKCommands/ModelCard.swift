import LeanKMask
import LeanKModel
import LeanKPruning
import LeanKReport

/// `LEANK.md`, which tells whoever finds a pruned checkpoint what it is and how to check it.
///
/// Made from the inputs alone: no time, no paths, so that the same inputs give the same bytes.
struct ModelCard {
  let text: String

  init(plan: PruningPlan, deployment: DeploymentHints, maskContentID: String, source: String) {
    let statistics = MaskStatistics(of: plan.mask)
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
      }
    let cache = plan.cachePerToken
    func change(_ before: Int, _ after: Int) -> String {
      "\(Formatting.count(before)) -> \(Formatting.count(after)) bytes"
    }
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
      ("K cache", change(cache.keysDense, cache.keysPruned) + " a token"),
      ("dense checkpoint", "SHA-256 of its config.json and shard headers: `\(source)`"),
    ]
    text = """
      # Pruned with leank \(leankVersion)

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

      """
  }
}
