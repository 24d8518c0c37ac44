import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKMask
import LeanKModel

/// The decoding half of `verify`.
extension VerifyCommand {
  func verify(
    _ source: CheckpointDirectory, _ subject: VerifySubject, _ console: Console
  ) throws -> Verification {
    let mode = try modeOptions.resolve(hints: subject.deployment)
    if let layout = subject.checkpoint?.pruned?.layout, layout != .cache, mode.mode == .windowed {
      throw UsageError("--mode windowed: layout \(layout.rawValue) is always static")
    }
    let model = try source.describe().description
    let dense = DecoderModel(model, weights: CheckpointWeights(source))
    let policy = AttentionPolicy(mode: mode, prefill: prefill, emptyHeads: emptyHeads)
    let run = try tokenRun(for: model, policy: policy)
    let (pruned, form) = try subject.prunedSide(of: model)
    var request = Verification.Request(
      dense: dense, pruned: pruned, prunedForm: form,
      mask: try model.adopt(subject.document.mask), tokens: run.tokens,
      promptLength: run.promptLength)
    request.greedyCount = greedy
    request.policy = policy
    request.tolerance = tolerance
    request.residentWeights = greedy > 0 ? Machine.memory / 4 : 0
    try requireTest(request)

    let inputs = [self.dense] + [self.pruned, mask, tokens].compactMap { $0 }
    let file = try saveLogits.map {
      try LogitFile(
        path: $0, tokens: run.tokens.count, vocabulary: model.vocabularySize, inputs: inputs)
    }
    let progress = ProgressBar(
      console: console, isShown: !json, label: "decoding", unit: "layers")
    defer { progress.finish() }
    let result = try Verification.run(
      request, ComputeContext(threads: threads ?? Machine.processors)
    ) { (done, total) throws(DecoderError) in
      progress.update(done, of: total)
    } onLogits: { block throws(DecoderError) in
      do throws(FileError) { try file?.write(block) } catch { throw DecoderError(error) }
    }
    try file?.commit()
    return result
  }

  /// The tokens of the run and the length of its prompt.
  private func tokenRun(
    for model: ModelDescription, policy: AttentionPolicy
  ) throws -> (tokens: [Int32], promptLength: Int) {
    let prompt: Int
    var ids: [Int]
    if let tokens {
      ids = try TokenInput.read(tokens)
      guard !ids.isEmpty else { throw UsageError("--tokens \(escaped(tokens)): no tokens") }
      prompt = promptLength ?? max(1, ids.count - 32)
      let (length, overflow) = prompt.addingReportingOverflow(
        decode ?? ids.count - min(prompt, ids.count))
      guard !overflow, length <= ids.count else {
        throw UsageError(
          "--prompt-length \(prompt) and --decode \(decode ?? 0) take more tokens than the "
            + "\(ids.count) of \(escaped(tokens))")
      }
      ids = Array(ids.prefix(length))
    } else {
      let window = policy.mode.window.map { $0.sink + $0.recent + $0.accumulate } ?? 0
      prompt = promptLength ?? window + 32
      let (length, overflow) = prompt.addingReportingOverflow(decode ?? 32)
      guard !overflow, length <= TokenInput.tokenLimit else {
        throw UsageError(
          "--prompt-length \(prompt) and --decode \(decode ?? 32) take more than the "
            + "\(TokenInput.tokenLimit) tokens that are possible")
      }
      ids = TokenInput.random(count: length, vocabulary: model.vocabularySize, seed: seed)
    }
    if let outside = ids.first(where: { $0 >= model.vocabularySize }) {
      throw CommandError(
        .malformed, "token \(outside) is outside the model's vocabulary of \(model.vocabularySize)")
    }
    return (ids.map { Int32($0) }, prompt)
  }

  /// Refuses a run that would test nothing.
  private func requireTest(_ request: Verification.Request) throws {
    let count = request.tokens.count
    guard count > 1 else {
      throw UsageError(
        "one token sees one key, whose weight is 1 whatever the mask: give at least 2 tokens")
    }
    guard let window = request.policy.window, try Verification.middleKeys(request) == 0 else {
      return
    }
    let windows = request.dense.description.layers.map(\.attention.slidingWindow)
    let reach = windows.contains(nil) ? nil : windows.compactMap { $0 }.max()
    if let reach, reach <= window.recent {
      throw UsageError(
        "no query of this run meets a middle key, so it would test nothing: every layer's own window "
          + "is \(reach) keys or less, recent \(window.recent) covers them")
    }
    let enough = request.policy.tokensToMiddle(promptLength: request.promptLength)
    throw UsageError(
      "no query of this run meets a middle key, so it would test nothing: with sink \(window.sink), "
        + "recent \(window.recent), accumulate \(window.accumulate) and a prompt of "
        + "\(request.promptLength) it takes \(enough.map(String.init) ?? "too many") tokens, there are "
        + "\(count)")
  }
}
