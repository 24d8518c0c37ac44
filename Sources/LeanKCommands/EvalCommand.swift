import ArgumentParser
import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKModel
import LeanKReport

/// `leank eval`
struct EvalCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "eval",
    abstract: "Judge masks by what a model still predicts and answers.",
    discussion: """
      Runs a dense model and the same model under each mask over sequences of a text that the masks \
      were not made on. The prompt is computed as the mode has it, the tokens at the end of each \
      sequence one by one. Loss is the mean negative log likelihood of those tokens and KL the \
      divergence of the dense model's distribution from the masked one's, both in nats a token; \
      top-1 is the share of tokens where both find the same one likeliest.

      Questions ask for numbers that sentences far before say: one fact, several of which two are \
      asked for, and many of one form. An answer is right where each of its tokens is the likeliest.

      A .leank file with several masks is judged whole unless --instance takes one. A .safetensors \
      file of sequences may hold questions of your own: answer_tokens [sequences] says how many \
      tokens at a row's end are the answer, 0 for plain text.

      EXAMPLE
        leank eval SmolLM2-135M --mask mask.leank --text held-out.txt
        leank eval SmolLM2-135M --mask a.leank --mask b.npy --text held-out.txt
        leank eval SmolLM2-135M-cache --tokens sequences.npy --json
      """)

  @Argument(help: "The model's directory, dense or made by leank convert in layout cache.")
  var directory: String

  @Option(
    help:
      "A mask for a dense model: a .leank file or anything that import reads; may be repeated (default: none)."
  )
  var mask: [String] = []

  @Option(help: "Judge one mask of a file that holds several, counted from 0 (default: all).")
  var instance: Int?

  @Option(help: "A text that the masks were not made on, - for standard input (default: none).")
  var text: String?

  @Option(
    help:
      "Its token ids: a JSON list, .npy, or .safetensors with input_ids; of shape [n], or [sequences, context + 1] with a sequence a row (default: none)."
  )
  var tokens: String?

  @Option(
    help: "Tokens of a sequence (default: 2048, or the model's own maximum where that is less).")
  var context: Int?

  @Option(help: "Sequences that are drawn from the text (default: 16).")
  var sequences: Int?

  @Option(help: "Tokens at the end of a sequence that are predicted one by one.")
  var queries = EvaluationInput.Request.queries

  @Option(
    help:
      "Questions (default: 16, or none where the model has no tokenizer or the tokens have questions of their own)."
  )
  var needles: Int?

  @Option(help: "Sequences that go through a layer together.")
  var batch = 4

  @OptionGroup var modeOptions: ModeOptions

  @Option(
    help:
      "Element type for the bytes of the K/V cache (default: two bytes, four where weights of K are wider)."
  )
  var cache: ElementType?

  @Option(help: "Seed of sequences and questions, a whole number (default: 0).")
  var seed: UInt64?

  @Option(help: "Number of threads (default: one a processor).")
  var threads: Int?

  @Option(
    help:
      "Write a page with KL and answers against the pruned ratio, one HTML file (default: none).")
  var report: String?

  @Flag(help: "Print a list with an object a mask as JSON.")
  var json = false

  func validate() throws {
    guard (text == nil) != (tokens == nil) else {
      throw ValidationError("give either --text or --tokens")
    }
    guard (2...TokenInput.countLimit).contains(context ?? 2) else {
      throw ValidationError("--context is a number from 2 to \(TokenInput.countLimit)")
    }
    guard (0...1 << 20).contains(sequences ?? 0), (0...1 << 20).contains(needles ?? 0) else {
      throw ValidationError("--sequences and --needles are numbers from 0 to \(1 << 20)")
    }
    guard queries >= 1, (1...1 << 10).contains(batch) else {
      throw ValidationError("--queries is at least 1, --batch a number from 1 to \(1 << 10)")
    }
    guard (1...1024).contains(threads ?? 1) else {
      throw ValidationError("--threads is a number from 1 to 1024")
    }
    guard instance ?? 0 >= 0 else {
      throw ValidationError("--instance is a number of at least 0")
    }
    guard instance == nil || !mask.isEmpty else {
      throw ValidationError("--instance chooses a mask of --mask")
    }
  }

  func run(on console: Console) throws -> CInt {
    let inputs = [directory] + mask + [text, tokens].compactMap(\.self)
    if let report { try checkOutputFile(report, replacing: true, inputs: inputs) }
    let checkpoint = try CheckpointDirectory(path: directory)
    let subject = try EvaluationSubject(
      checkpoint, masks: mask, instance: instance, modeOptions)
    let description = subject.model.description
    var request = EvaluationInput.Request(queries: queries)
    (request.text, request.tokens, request.seed) = (text, tokens, seed)
    (request.context, request.sequences, request.questions) = (context, sequences, needles)
    let input = try EvaluationInput(
      request, description, in: checkpoint.directory, limit: checkpoint.configuration.contextLimit)
    (subject.notes + input.notes).forEach { console.warn($0) }
    guard !input.samples.isEmpty else {
      throw UsageError("no sequences and no questions: there is nothing to judge by")
    }
    try requireTest(subject, input)
    try requireMemory(description, input)
    let evaluation = try evaluate(subject, input, on: console)

    let text = EvaluationText(
      model: escaped(checkpoint.modelName), input: input,
      reports: try results(of: evaluation, subject, checkpoint, context: input.context),
      judged: subject.masks)
    if let report {
      try writeFileAtomically(
        Array(text.page.text.utf8).span, to: report, replacing: true, inputs: inputs)
    }
    if json {
      try console.print(json: text.reports)
    } else {
      try console.print(text.lines.joined(separator: "\n"))
    }
    return LeankExit.success
  }

  private func evaluate(
    _ subject: EvaluationSubject, _ input: EvaluationInput, on console: Console
  ) throws -> MaskEvaluation {
    let store = WeightStore(subject.model, residentLimit: Machine.memory / 4)
    let progress = ProgressBar(console: console, isShown: !json, label: "judging", unit: "layers")
    Interruption.beginWatching()
    defer { Interruption.endWatching() }
    defer { progress.finish() }
    return try MaskEvaluation.run(
      store, input.samples, uses: subject.masks.map { MaskEvaluation.Use($0.mask, $0.policy) },
      batch: batch, ComputeContext(threads: threads ?? Machine.processors)
    ) { (done, total) throws(DecoderError) in
      progress.update(done, of: total)
      if Interruption.isRequested { throw DecoderError(.interrupted, "interrupted") }
    }
  }

  private func results(
    of evaluation: MaskEvaluation, _ subject: EvaluationSubject, _ checkpoint: CheckpointDirectory,
    context: Int
  ) throws -> [EvaluationReport] {
    let description = subject.model.description
    let windows = description.layers.map(\.attention.slidingWindow)
    let bytes = cache?.byteWidth ?? checkpoint.cacheElementBytes(of: description)
    func cost(_ mask: ChannelMask) -> CacheCost {
      CacheCost(of: mask, elementBytes: bytes, slidingWindows: windows)
    }
    guard !subject.masks.isEmpty else {
      let whole = try ChannelMask(
        layers: try description.geometries.map { geometry in
          try LayerMask(
            geometry: geometry,
            heads: (0..<geometry.kvHeads).map { _ in .full(width: geometry.headDim) })
        })
      return [
        EvaluationReport(
          nil, dense: evaluation.dense, masked: nil, context: context, cost: cost(whole))
      ]
    }
    return zip(subject.masks, evaluation.masked).map { judged, masked in
      EvaluationReport(
        judged, dense: evaluation.dense, masked: masked, context: context, cost: cost(judged.mask))
    }
  }

  /// Refuses a windowed mask whose middle no query meets: it would be judged by nothing.
  private func requireTest(_ subject: EvaluationSubject, _ input: EvaluationInput) throws {
    guard let queries = input.samples.map(\.queries).max() else { return }
    for judged in subject.masks {
      guard let window = judged.policy.window else { continue }
      let enough = judged.policy.tokensToMiddle(promptLength: input.context - queries)
      guard enough.map({ $0 > input.context }) ?? true else { continue }
      throw UsageError(
        "no query meets a middle key of \(escaped(judged.path, limit: 4096)): with sink "
          + "\(window.sink), recent \(window.recent) and accumulate \(window.accumulate) it takes a "
          + "context of \(enough.map(String.init) ?? "too many") tokens, there are \(input.context)"
      )
    }
  }

  /// Refuses what could not be in memory: the hidden states of a batch and a layer's keys and values.
  private func requireMemory(_ model: ModelDescription, _ input: EvaluationInput) throws {
    let cache = model.layers.map { 2 * $0.attention.kvHeads * $0.attention.headDim }.max() ?? 0
    let needed = input.context.multiplied(by: min(batch, input.samples.count))
      .flatMap { $0.multiplied(by: 4 * (3 * model.hiddenSize + 2 * cache)) }
    guard let needed, needed <= Machine.memory else {
      throw CommandError(
        .limitExceeded,
        "a batch of \(batch) sequences of \(input.context) tokens takes more than "
          + "\(needed.map(Formatting.bytes) ?? "2^63 bytes") of memory, this machine has "
          + "\(Formatting.bytes(Machine.memory)); give a smaller --batch or --context")
    }
  }
}
