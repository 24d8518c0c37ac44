public import LeanKDecoder
import LeanKMask

extension MaskEvaluation {
  /// Predicts the ends of `samples` with the dense model and under each use. The model's weights are
  /// read once for `batch` samples and all uses that share a policy.
  ///
  /// Deterministic; no result depends on `batch` or on the number of threads. `progress` hears of every
  /// layer. Fails where a mask does not fit the model, a token is outside its vocabulary, or a logit is
  /// not finite.
  public static func run(
    _ store: WeightStore, _ samples: [ContextSample], uses: [Use], batch: Int,
    _ compute: ComputeContext,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      _, _ throws(DecoderError) in
    }
  ) throws(DecoderError) -> MaskEvaluation {
    var policies: [AttentionPolicy] = []
    for use in uses where !policies.contains(use.policy) { policies.append(use.policy) }
    if policies.isEmpty { policies = [AttentionPolicy()] }
    let batches = stride(from: 0, to: samples.count, by: max(1, batch)).map {
      Array(samples[$0..<min($0 + max(1, batch), samples.count)])
    }
    let passes = batches.count * policies.count
    var dense = Tally()
    var masked = [Tally](repeating: Tally(), count: uses.count)
    var pass = 0
    for samples in batches {
      for (number, policy) in policies.enumerated() {
        let numbers = uses.indices.filter { uses[$0].policy == policy }
        let forms = try numbers.map { index throws(DecoderError) in
          try ContextForm(
            uses[index].mask, policy.emptyHeads, isStatic: policy.window == nil, of: store.model)
        }
        var run = try ContextPass(
          store, samples.map { .init(tokens: Array($0.context), queries: $0.queries) },
          forms: [.dense] + forms, policy: policy,
          densePrompt: policy.window != nil && policy.prefill == .dense, compute)
        let hidden = try run.run { done, layers throws(DecoderError) in
          try progress(pass * layers + done, passes * layers)
        }
        let found = try predictions(store, samples, hidden, compute)
        for (form, tally) in found.enumerated() {
          if form > 0 {
            masked[numbers[form - 1]].add(tally)
          } else if number == 0 {
            dense.add(tally)
          }
        }
        pass += 1
      }
    }
    return MaskEvaluation(dense: dense.means, masked: masked.map(\.means))
  }

  /// Tallies of one batch by form, from the hidden states of its samples' queries.
  private static func predictions(
    _ store: WeightStore, _ samples: [ContextSample], _ hidden: [[Matrix]],
    _ compute: ComputeContext
  ) throws(DecoderError) -> [Tally] {
    let counts = samples.map { $0.countsAsText ? $0.queries : $0.answer }
    let following = zip(samples, counts).flatMap { Array($0.tokens.suffix($1)) }
    let rows = hidden.map { matrices in
      zip(matrices, counts).map { matrix, count in
        matrix.rows(matrix.rows - count..<matrix.rows)
      }
    }
    let predictions = try store.predictions(rows, following: following, compute)
    return predictions.map { form in
      var tally = Tally()
      var row = 0
      for (sample, count) in zip(samples, counts) {
        let range = row..<row + count
        row += count
        if sample.answer > 0 {
          tally.questions += 1
          let answer = range.suffix(sample.answer)
          if answer.allSatisfy({ form[$0].top == Int(following[$0]) }) { tally.answered += 1 }
        }
        guard sample.countsAsText else { continue }
        for index in range {
          tally.positions += 1
          tally.loss += form[index].loss
          tally.divergence += form[index].divergence
          if form[index].top == predictions[0][index].top { tally.agreeing += 1 }
        }
      }
      return tally
    }
  }

  /// Sums over positions.
  private struct Tally {
    var positions = 0
    var loss = 0.0
    var divergence = 0.0
    var agreeing = 0
    var answered = 0
    var questions = 0

    mutating func add(_ other: Tally) {
      positions += other.positions
      loss += other.loss
      divergence += other.divergence
      agreeing += other.agreeing
      answered += other.answered
      questions += other.questions
    }

    var means: Predictions {
      var result = Predictions()
      result.positions = positions
      result.answered = answered
      result.questions = questions
      guard positions > 0 else { return result }
      result.loss = loss / Double(positions)
      result.divergence = divergence / Double(positions)
      result.topAgreement = Double(agreeing) / Double(positions)
      return result
    }
  }
}
