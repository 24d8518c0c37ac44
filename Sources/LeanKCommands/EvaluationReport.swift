import ByteIO
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKReport

/// What `eval` found of one mask; the property names are the keys of `--json`.
struct EvaluationReport: Encodable {
  struct Bytes: Encodable {
    var dense: Int
    var pruned: Int
  }

  /// As the command line has it; null for the dense model alone.
  var mask: Nullable<String>
  var instance: Nullable<Int>
  var context: Int
  /// Nats a token of plain text, null without any.
  var lossDense: Nullable<Double>
  var lossMasked: Nullable<Double>
  /// Of the dense model's distribution from the masked one's, nats a token.
  var kl: Nullable<Double>
  var top1Agreement: Nullable<Double>
  /// Share of questions that are answered rightly, null without any.
  var needleDense: Nullable<Double>
  var needleMasked: Nullable<Double>
  var prunedRatio: Nullable<Double>
  /// At the context, in the mask's mode.
  var kCacheBytes: Bytes
  var vCacheBytes: Bytes

  /// `judged`: nil for the dense model alone, whose own geometry `cost` then has.
  init(
    _ judged: EvaluationSubject.Judged?, dense: MaskEvaluation.Predictions,
    masked: MaskEvaluation.Predictions?, context: Int, cost: CacheCost
  ) {
    mask = Nullable(judged?.path)
    instance = Nullable(judged?.instance)
    self.context = context
    lossDense = Nullable(dense.positions > 0 ? dense.loss : nil)
    needleDense = Nullable(dense.answerShare)
    let plain = masked.flatMap { $0.positions > 0 ? $0 : nil }
    lossMasked = Nullable(plain?.loss)
    kl = Nullable(plain?.divergence)
    top1Agreement = Nullable(plain?.topAgreement)
    needleMasked = Nullable(masked?.answerShare)
    prunedRatio = Nullable(judged.map { MaskStatistics(of: $0.mask).prunedRatio })
    let whole = cost.dense(context: context)
    let small = judged.map { cost.bytes($0.policy.mode, context: context) } ?? whole
    kCacheBytes = Bytes(dense: whole.keys, pruned: small.keys)
    vCacheBytes = Bytes(dense: whole.values, pruned: small.values)
  }
}

extension MaskEvaluation.Predictions {
  /// Share of the questions that were answered rightly, nil without any.
  var answerShare: Double? { questions > 0 ? Double(answered) / Double(questions) : nil }
}

/// The table that `eval` prints for people.
struct EvaluationText {
  let model: String
  let input: EvaluationInput
  /// Whether a file held several masks, which are told apart by their number.
  let namesInstances: Bool
  let reports: [EvaluationReport]
  let modes: [DeploymentHints]

  private static let widths = [8, 9, 9, 8, 9, 11, 11]

  var lines: [String] {
    guard let first = reports.first else { return [] }
    let dense = [
      "", Self.decimal(first.lossDense), "", "", Self.percent(first.needleDense),
      Formatting.bytes(first.kCacheBytes.dense), Formatting.bytes(first.vCacheBytes.dense),
    ]
    let masked = reports.filter { $0.mask.wrapped != nil }
    let names = ["dense"] + masked.map(name)
    let width = max(12, (names.map(\.count).max() ?? 0) + 1)
    func row(_ name: String, _ cells: [String]) -> String {
      Formatting.padded(name, to: width)
        + zip(cells, Self.widths).map { Formatting.padded($0, to: $1, onTheLeft: true) }.joined()
    }
    return head + [
      "", row("", ["pruned", "loss", "KL", "top-1", "answers", "K cache", "V cache"]),
      row("dense", dense),
    ]
      + zip(names.dropFirst(), masked).map { name, report in
        row(
          name,
          [
            report.prunedRatio.wrapped.map { Formatting.percent($0, digits: 1) } ?? "",
            Self.decimal(report.lossMasked), Self.decimal(report.kl),
            Self.percent(report.top1Agreement), Self.percent(report.needleMasked),
            Formatting.bytes(report.kCacheBytes.pruned),
            Formatting.bytes(report.vCacheBytes.pruned),
          ])
      }
  }

  /// What was measured, before the table.
  private var head: [String] {
    var lines = [Formatting.row("model", model)]
    if let sample = input.plain.first {
      lines.append(
        Formatting.row(
          "text",
          "\(counted(input.plain.count, "sequence")) of \(Formatting.count(input.context)) tokens, the "
            + "last \(sample.queries) predicted in each"))
    }
    if !input.questions.isEmpty {
      lines.append(
        Formatting.row(
          "questions",
          "\(input.questions.count), each answered from \(Formatting.count(input.context)) tokens"))
    }
    for mode in Set(modes) {
      lines += Formatting.rows("use", deploymentText(mode))
    }
    return lines
  }

  private func name(_ report: EvaluationReport) -> String {
    let path = escaped(splitPath(report.mask.wrapped ?? "").name, limit: 60)
    return namesInstances ? "\(path) \(report.instance.wrapped ?? 0)" : path
  }

  private static func decimal(_ value: Nullable<Double>) -> String {
    value.wrapped.map { Formatting.decimal($0) } ?? "-"
  }

  private static func percent(_ value: Nullable<Double>) -> String {
    value.wrapped.map { Formatting.percent($0, digits: 1) } ?? "-"
  }
}
