import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKMask
import LeanKModel
import LeanKReport
import LeanKTokenizer

/// The decoding half of `verify`.
extension VerifyCommand {
  /// What is to be decoded, and how; all that can be refused before a tensor is read is refused.
  func decodeRequest(
    _ source: CheckpointDirectory, _ subject: VerifySubject
  ) throws -> Verification.Request {
    let mode = try modeOptions.resolve(hints: subject.deployment)
    if let layout = subject.checkpoint?.pruned?.layout, layout != .cache, mode.mode == .windowed {
      throw UsageError("--mode windowed: layout \(layout.rawValue) is always static")
    }
    let model = try source.describe().description
    let dense = DecoderModel(model, weights: CheckpointWeights(source))
    let policy = AttentionPolicy(mode)
    let run = try tokenRun(for: model, policy: policy, in: source.directory)
    let (pruned, form) = try subject.prunedSide(of: model)
    var request = Verification.Request(
      dense: dense, pruned: pruned, prunedForm: form,
      mask: try model.adopt(subject.document.mask), tokens: run.tokens,
      promptLength: run.promptLength)
    request.greedyCount = greedy ?? 0
    request.policy = policy
    request.tolerance = tolerance
    request.residentWeights = request.greedyCount > 0 ? Machine.memory / 4 : 0
    try requireTest(request)
    return request
  }

  func verify(_ request: Verification.Request, _ console: Console) throws -> Verification {
    let file = try saveLogits.map {
      try LogitFile(
        path: $0, tokens: request.tokens.count,
        vocabulary: request.dense.description.vocabularySize, inputs: inputs)
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
    for model: ModelDescription, policy: AttentionPolicy, in directory: DirectoryHandle
  ) throws -> (tokens: [Int32], promptLength: Int) {
    let prompt: Int
    var ids: [Int]
    if let given = try givenTokens(in: directory) {
      ids = given.ids
      guard !ids.isEmpty else { throw UsageError("\(given.name): no tokens") }
      prompt = promptLength ?? max(1, ids.count - 32)
      let length = try tokenCount(prompt, decode ?? ids.count - min(prompt, ids.count), model)
      guard length <= ids.count else {
        throw UsageError(
          "--prompt-length \(prompt) and --decode \(decode ?? 0) take more tokens than the "
            + "\(ids.count) of \(given.name)")
      }
      ids = Array(ids.prefix(length))
    } else {
      let window = policy.mode.window.map { $0.sink + $0.recent + $0.accumulate } ?? 0
      prompt = promptLength ?? window + 32
      ids = TokenInput.random(
        count: try tokenCount(prompt, decode ?? 32, model), vocabulary: model.vocabularySize,
        seed: seed ?? 0)
    }
    if let outside = ids.first(where: { $0 >= model.vocabularySize }) {
      throw CommandError(
        .malformed, "token \(outside) is outside the model's vocabulary of \(model.vocabularySize)")
    }
    return (ids.map { Int32($0) }, prompt)
  }

  /// Token ids of --tokens, --prompt or --text and where they are from; nil where none is given.
  private func givenTokens(
    in directory: DirectoryHandle
  ) throws -> (ids: [Int], name: String)? {
    if let tokens { return (try TokenInput.read(tokens), "--tokens \(escaped(tokens))") }
    guard let words = try prompt ?? text.map(TextInput.read) else { return nil }
    let ids = try Tokenizer(directory: directory).encode(words)
    return (ids, prompt == nil ? "--text \(escaped(text ?? ""))" : "--prompt")
  }

  /// Tokens of a prompt and of what is decoded after it. Refuses more than a run may have, and more
  /// than could be in memory: hidden states of three sides and the K/V caches of one layer are the least.
  private func tokenCount(_ prompt: Int, _ decoded: Int, _ model: ModelDescription) throws -> Int {
    let text = "a prompt of \(prompt) tokens, \(decoded) decoded and \(greedy ?? 0) greedy ones"
    guard let count = prompt.adding(decoded), let all = count.adding(greedy ?? 0),
      all <= TokenInput.countLimit
    else {
      throw CommandError(
        .limitExceeded, "\(text): the limit is \(TokenInput.countLimit) tokens in all")
    }
    let cache = model.layers.map { 2 * $0.attention.kvHeads * $0.attention.headDim }.max() ?? 0
    let needed = all.multiplied(by: 4 * (3 * model.hiddenSize + 2 * cache))
    guard let needed, needed <= Machine.memory else {
      throw CommandError(
        .limitExceeded,
        "\(text) take more than \(needed.map(Formatting.bytes) ?? "2^63 bytes") of memory, this machine "
          + "has \(Formatting.bytes(Machine.memory))")
    }
    return count
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
