import ByteIO
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKReport

/// The table that `eval` prints for people, and its page.
struct EvaluationText {
  let model: String
  let input: EvaluationInput
  /// One a mask, or one of the dense model alone.
  let reports: [EvaluationReport]
  let judged: [EvaluationSubject.Judged]

  private static let widths = [8, 9, 9, 9, 9, 11, 11]

  var lines: [String] {
    guard let first = reports.first else { return [] }
    let names = ["dense"] + names
    let width = max(12, (names.map(\.count).max() ?? 0) + 1)
    func row(_ name: String, _ cells: [String]) -> String {
      Formatting.padded(name, to: width)
        + zip(cells, Self.widths).map { Formatting.padded($0, to: $1, onTheLeft: true) }.joined()
    }
    var lines = facts.flatMap { Formatting.rows($0.label, $0.text) }
    lines.append("")
    lines.append(row("", ["pruned", "loss", "KL", "top-1", "answers", "K cache", "V cache"]))
    lines.append(
      row(
        "dense",
        [
          "", Self.decimal(first.lossDense), "", "", Self.percent(first.needleDense),
          Formatting.bytes(first.kCacheBytes.dense), Formatting.bytes(first.vCacheBytes.dense),
        ]))
    for (name, report) in zip(names.dropFirst(), reports) {
      lines.append(
        row(
          name,
          [
            Self.percent(report.prunedRatio), Self.decimal(report.lossMasked),
            Self.decimal(report.kl), Self.percent(report.top1Agreement),
            Self.percent(report.needleMasked), Formatting.bytes(report.kCacheBytes.pruned),
            Formatting.bytes(report.vCacheBytes.pruned),
          ]))
    }
    return lines
  }

  /// What `--report` writes.
  var page: EvaluationPage {
    let entries = zip(zip(names, judged), reports).map { mask, report in
      var entry = EvaluationPage.Entry(
        name: mask.0, mode: mask.1.policy.mode, prunedRatio: report.prunedRatio.wrapped ?? 0,
        bytes: CacheBytes(keys: report.kCacheBytes.pruned, values: report.vCacheBytes.pruned))
      entry.loss = report.lossMasked.wrapped
      entry.divergence = report.kl.wrapped
      entry.topAgreement = report.top1Agreement.wrapped
      entry.answers = report.needleMasked.wrapped
      return entry
    }
    let whole = reports.first.map {
      CacheBytes(keys: $0.kCacheBytes.dense, values: $0.vCacheBytes.dense)
    }
    var page = EvaluationPage(
      model: model, facts: facts.dropFirst().map { "\($0.label): \($0.text)" },
      bytes: whole ?? CacheBytes(keys: 0, values: 0), entries: entries)
    page.loss = reports.first?.lossDense.wrapped
    page.answers = reports.first?.needleDense.wrapped
    return page
  }

  /// What was measured.
  private var facts: [(label: String, text: String)] {
    let context = Formatting.count(input.context)
    var facts = [("model", model)]
    if let sample = input.plain.first {
      facts.append(
        (
          "text",
          "\(counted(input.plain.count, "sequence")) of \(context) tokens, the last "
            + "\(sample.queries) predicted in each"
        ))
    }
    if !input.questions.isEmpty {
      facts.append(
        ("questions", "\(input.questions.count), each about a fact in \(context) tokens"))
    }
    var modes: [DeploymentHints] = []
    for mode in judged.map(\.policy.mode) where !modes.contains(mode) {
      modes.append(mode)
      facts.append(("use", deploymentText(mode)))
    }
    return facts
  }

  /// A mask's file, with its number where the file has several that are judged.
  private var names: [String] {
    judged.map { mask in
      let name = escaped(splitPath(mask.path).name, limit: 60)
      let count = judged.count { $0.path == mask.path }
      return count > 1 || mask.instance > 0 ? "\(name) \(mask.instance)" : name
    }
  }

  private static func decimal(_ value: Nullable<Double>) -> String {
    value.wrapped.map { Formatting.decimal($0) } ?? "-"
  }

  private static func percent(_ value: Nullable<Double>) -> String {
    value.wrapped.map { Formatting.percent($0, digits: 1) } ?? "-"
  }
}
