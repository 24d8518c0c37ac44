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
