import ByteIO
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKReport

/// What `learn` says of the masks that it made.
struct LearnSummary {
  let result: LearnRun.Result
  let documents: [MaskDocument]
  let input: LearnInput
  let mode: DeploymentHints
  let model: String
  /// Bytes of an element of the model's cache, and its layers' sliding windows.
  let elementBytes: Int
  let slidingWindows: [Int?]
  let seconds: Double

  /// One ratio's mask; the property names are the keys of `--json`.
  struct Report: Encodable {
    struct CandidateReport: Encodable {
      var budget: String
      var kl: Double
    }

    /// The number of the mask in the file, 0 where each has its own.
    var instance: Int
    var ratio: Double
    var prunedRatio: Double
    var emptyHeads: Int
    var budget: String
    /// Nats a token, on the sequences that masks were judged by.
    var kl: Double
    var lossDense: Double
    var lossMasked: Double
    var top1Agreement: Double
    /// Share of questions that are answered rightly, null without any.
    var needleDense: Nullable<Double>
    var needleMasked: Nullable<Double>
    var candidates: [CandidateReport]
    var seconds: Double
  }

  var reports: [Report] {
    zip(result.outcomes, documents).enumerated().map { index, pair in
      let (outcome, document) = pair
      let statistics = MaskStatistics(of: document.mask)
      let best = outcome.best.predictions
      return Report(
        instance: index, ratio: outcome.ratio, prunedRatio: statistics.prunedRatio,
        emptyHeads: statistics.emptyHeads, budget: outcome.best.candidate.way.label,
        kl: best.divergence, lossDense: result.dense.loss, lossMasked: best.loss,
        top1Agreement: best.topAgreement, needleDense: Nullable(result.dense.answerShare),
        needleMasked: Nullable(best.answerShare),
        candidates: outcome.candidates.map {
          .init(budget: $0.candidate.way.label, kl: $0.predictions.divergence)
        }, seconds: seconds)
    }
  }

  private static let widths = [9, 16, 10, 9, 9, 10]

  /// For people.
  var lines: [String] {
    func row(_ name: String, _ cells: [String]) -> String {
      Formatting.padded(name, to: 10)
        + zip(cells, Self.widths).map { Formatting.padded($0, to: $1, onTheLeft: true) }.joined()
    }
    var lines = facts.flatMap { Formatting.rows($0.label, $0.text) }
    lines += [
      "", row("", ["pruned", "budget", "KL", "loss", "top-1", "answers"]),
      row(
        "dense", ["", "", "", Formatting.decimal(result.dense.loss), "", answers(result.dense)]),
    ]
    for report in reports {
      let outcome = result.outcomes[report.instance]
      lines.append(
        row(
          Formatting.percent(report.ratio, digits: 1),
          [
            Formatting.percent(report.prunedRatio, digits: 1), report.budget,
            Formatting.scientific(report.kl, digits: 3), Formatting.decimal(report.lossMasked),
            Formatting.percent(report.top1Agreement, digits: 1),
            answers(outcome.best.predictions),
          ]))
    }
    if let advice { lines += ["", advice] }
    return lines
  }

  /// What the masks were made and judged by.
  private var facts: [(label: String, text: String)] {
    [
      ("model", model),
      (
        result.factors.isEmpty ? "scored" : "trained on",
        "\(counted(input.scoring.count, "sequence")) of \(Formatting.count(input.context)) tokens, "
          + "\(input.queries) queries each"
      ),
      (
        "judged",
        "by \(input.validation.count) others, \(Formatting.clock(seconds: seconds)) in all"
      ),
      ("use", deploymentText(mode)),
    ]
  }

  private func answers(_ predictions: MaskEvaluation.Predictions) -> String {
    predictions.questions > 0 ? "\(predictions.answered) of \(predictions.questions)" : "-"
  }

  /// A divergence from which answers begin to suffer, in nats a token.
  private static let poor = 0.05

  /// What to try where a mask changes the model much.
  private var advice: String? {
    let poor = reports.filter { $0.kl > Self.poor }
    guard let first = poor.first else { return nil }
    let ratio = Formatting.percent(first.ratio, digits: 1)
    let way =
      mode.window.map {
        "a longer --recent (here \($0.recent)) helps most, then a lower --ratio"
      }
      ?? "static masks of pretrained models stop at about a third: try --mode windowed, or a lower "
      + "--ratio"
    return "A KL above \(Self.poor) changes answers (\(ratio)): \(way)."
  }

  /// What `--report` writes.
  var page: EvaluationPage {
    let entries = zip(result.outcomes, documents).flatMap { outcome, document in
      outcome.candidates.map { judged in
        let isBest = judged == outcome.best
        var entry = EvaluationPage.Entry(
          name: judged.candidate.way.label + (isBest ? " (kept)" : ""), mode: mode,
          prunedRatio: judged.candidate.selection.realisedRatio,
          bytes: bytes(judged.candidate.selection.mask))
        entry.loss = judged.predictions.loss
        entry.divergence = judged.predictions.divergence
        entry.topAgreement = judged.predictions.topAgreement
        entry.answers = judged.predictions.answerShare
        return entry
      }
    }
    var page = EvaluationPage(
      model: model, facts: facts.dropFirst().map { "\($0.label): \($0.text)" },
      bytes: documents.first.map { whole($0.mask) } ?? CacheBytes(keys: 0, values: 0),
      entries: entries)
    page.loss = result.dense.loss
    page.answers = result.dense.answerShare
    return page
  }

  private func cost(_ mask: ChannelMask) -> CacheCost {
    CacheCost(of: mask, elementBytes: elementBytes, slidingWindows: slidingWindows)
  }

  private func bytes(_ mask: ChannelMask) -> CacheBytes {
    cost(mask).bytes(mode, context: input.context)
  }

  private func whole(_ mask: ChannelMask) -> CacheBytes {
    cost(mask).dense(context: input.context)
  }
}
