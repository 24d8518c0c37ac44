import ArgumentParser
import LeanKMask

/// `--kind`, wherever a command reads scores that a file may not name.
struct ScoresKindOptions: ParsableArguments {
  @Option(
    help:
      "What the scores are, where their file does not say: leank.alpha, or a name of your own (default: importance; leank.alpha of a .tsv)."
  )
  var kind: String?

  func validate() throws {
    guard let kind else { return }
    do throws(MaskError) {
      _ = try ImportanceScores(kind: kind, values: [])
    } catch {
      throw ValidationError("--kind: \(error.description)")
    }
  }
}
