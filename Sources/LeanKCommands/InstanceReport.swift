import ByteIO
import LeanKFormat
import LeanKMask
import LeanKReport

/// `instances[]` of `inspect --json`: one mask of a file that may hold several.
struct InstanceReport: Encodable {
  var instance: Int
  var channelsKept: Int
  var prunedRatio: Double
  var closureKeptRatio: Double
  var emptyHeads: Int
  var alignment: Nullable<InspectReport.AlignmentReport>
  /// Whether the file has scores for it, and whether they are those of instance 0.
  var hasScores: Bool
  var sharesScores: Bool
  var deployment: Nullable<InspectReport.DeploymentReport>
  var recipe: Nullable<String>
  /// The content id of the file that holds it alone.
  var contentId: String

  static func all(of file: LeankFile) -> [InstanceReport] {
    file.instances.indices.map { InstanceReport(file, $0) }
  }

  private init(_ file: LeankFile, _ instance: Int) {
    let document = file.instances[instance]
    let statistics = MaskStatistics(of: document.mask)
    self.instance = instance
    channelsKept = statistics.channelsKept
    prunedRatio = statistics.prunedRatio
    closureKeptRatio = statistics.closureKeptRatio
    emptyHeads = statistics.emptyHeads
    alignment = Nullable(
      document.alignment.map { InspectReport.AlignmentReport($0, of: document.mask) })
    hasScores = document.scores != nil
    let ownsScores = file.sections.contains { $0.tag == "SCOR" && $0.instance == instance }
    sharesScores = document.scores != nil && !ownsScores
    deployment = Nullable(document.deployment.map(InspectReport.DeploymentReport.init))
    recipe = Nullable(document.provenance[Provenance.recipe])
    contentId = file.identities[instance].hex
  }

  /// The masks of `file` for people, `shown` being the one the lines before are about; nothing where
  /// there is one.
  static func lines(of file: LeankFile, shown: Int) -> [String] {
    guard file.instances.count > 1 else { return [] }
    var lines = [
      Formatting.row(
        "instances",
        "\(file.instances.count) masks, this is \(shown); --instance shows another")
    ]
    for report in all(of: file) {
      let document = file.instances[report.instance]
      var parts = ["pruned \(Formatting.percent(report.prunedRatio))"]
      if let alignment = document.alignment {
        parts.append("unit \(alignment.unit), rule \(alignment.rule.rawValue)")
        if let target = alignment.targetRatio {
          parts.append("target \(Formatting.percent(target))")
        }
      }
      if let deployment = document.deployment { parts.append(deployment.mode.rawValue) }
      if report.hasScores && !report.sharesScores && report.instance > 0 {
        parts.append("scores of its own")
      }
      parts.append("content id \(report.contentId.prefix(16))...")
      lines += Formatting.rows("", "\(report.instance): " + parts.joined(separator: ", "))
    }
    return lines
  }
}
