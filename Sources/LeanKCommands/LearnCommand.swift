import ArgumentParser
import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKDecoder
import LeanKFormat
import LeanKLearn
import LeanKMask
import LeanKModel
import LeanKPruning
import LeanKReport

/// `leank learn`
struct LearnCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "learn",
    abstract: "Make a mask for a model from some text.",
    discussion: """
      Scores every channel of every KV head by how far the layer's attention output moves with it \
      (the curvature), or the model's last hidden states, on sequences of which half end in \
      questions about what they say before. The budget of channels is then spent in several ways, \
      each mask is judged by how far it changes what the model predicts on other sequences, and the \
      best one is kept. With --scope layer no gradient crosses a layer: the model streams through \
      memory layer by layer. No GPU is needed.

      Several ratios make one file with a mask for each, the first one being the main mask. Windows \
      are scored and judged with an accumulate of 1, the least that a window keeps.

      A run that was stopped goes on where it was when it is started again. Many machines share the \
      work: each scores its --shard K/N, and one last run with --merge makes the masks, the same \
      bytes as a single run.

      EXAMPLE
        leank learn --model SmolLM2 --text train.txt --ratio 0.7 --output m.leank
        leank learn --model M --text t.txt --ratio 0.5 --ratio 0.7 --output r.leank
        leank learn --model M --text t.txt --ratio 0.7 --output m.leank --shard 3/8
        leank learn --model M --text t.txt --ratio 0.7 --output m.leank --merge
      """)

  @Option(help: "Directory of the dense checkpoint (config.json and safetensors).")
  var model: String

  @OptionGroup var data: LearnDataOptions

  @Option(help: "Share of the channels to prune, 0 to 1; may be repeated.")
  var ratio: [Double]

  @Option(help: "Every head keeps a multiple of this many channels, or all it has.")
  var align = 16

  @Option(help: "The .leank file to write.")
  var output: String

  @OptionGroup var methodOptions: LearnMethodOptions

  @Option(help: "How the budget is spent: sum, log, measured, or the best of them.")
  var budget: LearnBudgetChoice = .best

  @Flag(help: "Keep or prune both channels of a rotary pair.")
  var pairs = false

  @OptionGroup var modeOptions: ModeOptions

  @Option(help: "Random directions of the curvature for each sequence.")
  var draws = 4

  @Option(
    help:
      "Sequences that go through the model together; two-stage: those of a step. Otherwise no result depends on it."
  )
  var batch = 8

  @Option(help: "Number of threads (default: one a processor).")
  var threads: Int?

  @Option(
    help: "Score one share of the sequences, K/N, beside the output, for --merge (default: all).")
  var shard: ShardPart?

  @Flag(help: "Make the masks of what runs with --shard scored.")
  var merge = false

  @Flag(help: "With several ratios: write a file each, mask-0.7.leank and so on.")
  var separate = false

  @Option(help: "Write a page with KL against the ratio and what survives (default: none).")
  var report: String?

  @Flag(help: "Replace an existing output file.")
  var force = false

  @Flag(help: "Say nothing but warnings and errors.")
  var quiet = false

  @Flag(help: "Print a list with an object a ratio as JSON.")
  var json = false

  func validate() throws {
    guard Set(ratio).count == ratio.count, ratio.allSatisfy({ (0...1).contains($0) }) else {
      throw ValidationError("--ratio is a number from 0 to 1, each given once")
    }
    guard (1...MaskSelection.unitLimit).contains(align) else {
      throw ValidationError("--align is a number from 1 to \(MaskSelection.unitLimit)")
    }
    guard !pairs || align.isMultiple(of: 2) else {
      throw ValidationError("--pairs needs an even --align")
    }
    guard (1...1 << 10).contains(draws), (1...1 << 10).contains(batch) else {
      throw ValidationError("--draws and --batch are numbers from 1 to \(1 << 10)")
    }
    guard (1...1024).contains(threads ?? 1) else {
      throw ValidationError("--threads is a number from 1 to 1024")
    }
    guard methodOptions.method == .curvature || (shard == nil && !merge) else {
      throw ValidationError("--shard and --merge share out curvature, two-stage is one run")
    }
    guard methodOptions.method == .curvature || budget == .best else {
      throw ValidationError("--budget spends curvature; two-stage has --rule")
    }
    guard shard == nil || !merge else {
      throw ValidationError("--shard scores a part, --merge finishes all: give one of them")
    }
    guard shard == nil || (report == nil && !separate) else {
      throw ValidationError("--shard makes no mask yet: give --report and --separate with --merge")
    }
  }

  func run(on console: Console) throws -> CInt {
    let start = ContinuousClock.now
    let files = MaskFiles(output: output, isSeparate: separate, force: force)
    try files.check(ratio, inputs: [model] + data.files)
    if let report { try checkOutputFile(report, replacing: true, inputs: [model] + data.files) }
    let checkpoint = try CheckpointDirectory(path: model)
    let mode = try modeOptions.resolve(hints: .windowed(.standard))
    let subject = try LearnSubject(checkpoint)
    let sequences = methodOptions.sequences(ratios: ratio.count, batch: batch)
    let input = try LearnInput(
      data, sequences: sequences, mode,
      subject.description, in: checkpoint.directory,
      limit: checkpoint.configuration.contextLimit)
    let (scopes, batch, note) = methodOptions.resolve(
      subject.description, context: input.context, batch: batch, memory: Machine.memory)
    (input.notes + [note].compactMap(\.self)).forEach { console.warn($0) }
    let run = LearnRun(
      learning: try Learning(
        WeightStore(subject.model, residentLimit: Machine.memory / 4),
        request(input, mode, scopes, batch: batch),
        ComputeContext(threads: threads ?? Machine.processors)),
      digest: digest(checkpoint, input, mode, scopes), output: output, checkpoint: checkpoint,
      console: console, showsProgress: !quiet && !json)
    Interruption.beginWatching()
    defer { Interruption.endWatching() }
    if let shard {
      let count = try run.score(shard)
      if !quiet {
        try console.print(
          "scored \(counted(count, "sequence")) of \(input.scoring.count) beside "
            + "\(escaped(output, limit: 4096)); --merge makes the mask once all parts are done")
      }
      return LeankExit.success
    }
    let result =
      switch methodOptions.method {
      case .curvature: try run.finish(requiringAll: merge)
      case .twoStage: try run.train(trainingRequest(input, mode))
      }
    let documents = try result.outcomes.map {
      try document($0, result, checkpoint, input, mode)
    }
    let written = try files.write(ratio, documents)
    run.discard()
    let summary = LearnSummary(
      result: result, documents: documents, input: input, mode: mode,
      model: escaped(checkpoint.modelName),
      elementBytes: checkpoint.cacheElementBytes(of: subject.description),
      slidingWindows: subject.description.layers.map(\.attention.slidingWindow),
      seconds: start.duration(to: .now) / .seconds(1))
    if let report {
      try writeFileAtomically(Array(summary.page.text.utf8).span, to: report, replacing: true)
    }
    if json {
      try console.print(json: summary.reports)
    } else if !quiet {
      try console.print((summary.lines + written).joined(separator: "\n"))
    }
    return LeankExit.success
  }

  private func request(
    _ input: LearnInput, _ mode: DeploymentHints, _ scopes: [CurvatureScope], batch: Int
  ) -> Learning.Request {
    var policy = AttentionPolicy(mode)
    if let window = mode.window { policy.mode = .windowed(window.unaccumulated) }
    return Learning.Request(
      scoring: input.scoring, validation: input.validation, ratios: ratio, unit: align,
      pairs: pairs, scopes: scopes, budgets: budget.budgets, policy: policy, draws: draws,
      seed: data.seed,
      batch: batch)
  }

  private func trainingRequest(
    _ input: LearnInput, _ mode: DeploymentHints
  ) -> TwoStageLearning.Request {
    TwoStageLearning.Request(
      training: input.scoring, ratios: ratio, unit: align, rule: methodOptions.chosenRule,
      pairs: pairs, mode: mode,
      steps: (methodOptions.steps.first, methodOptions.steps.second), batch: batch)
  }

  /// What scores depend on; the ratio and how it is spent are chosen after. Training knows them all.
  private func digest(
    _ checkpoint: CheckpointDirectory, _ input: LearnInput, _ mode: DeploymentHints,
    _ scopes: [CurvatureScope]
  ) -> String {
    let method: [String] =
      switch methodOptions.method {
      case .curvature:
        ["curvature " + scopes.map(\.rawValue).joined(separator: " "), "\(draws) draws"]
      case .twoStage: [training, "batch \(batch)"] + ratio.map { "ratio \($0)" }
      }
    return sha256(
      Array(
        (method + [
          checkpoint.sourceDigest, input.digest, deploymentText(mode), "seed \(data.seed)",
        ]).joined(separator: "\n").utf8))
  }

  /// The options of a two-stage run.
  private var training: String {
    let steps = methodOptions.steps
    return "--method two-stage --steps \(steps.first),\(steps.second) --align \(align)"
      + " --rule \(methodOptions.chosenRule.rawValue)" + (pairs ? " --pairs" : "")
  }

  private func document(
    _ outcome: Learning.Outcome, _ result: LearnRun.Result, _ checkpoint: CheckpointDirectory,
    _ input: LearnInput, _ mode: DeploymentHints
  ) throws -> MaskDocument {
    let selection = outcome.best.candidate.selection
    var document = try MaskDocument(
      mask: selection.mask, alignment: selection.alignment,
      scores: result.importance(of: outcome.best.candidate))
    document.deployment = mode
    document.provenance.record(model: checkpoint)
    let judged = outcome.candidates.map {
      "\($0.candidate.way.label) \(Formatting.scientific($0.predictions.divergence, digits: 3))"
    }
    let isTrained = methodOptions.method == .twoStage
    let options =
      isTrained
      ? training
      : "--method curvature --scope \(scopeName(result)) --align \(align) --budget \(budget.rawValue)"
        + (pairs ? " --pairs" : "")
    document.provenance[Provenance.recipe] = [
      "leank learn \(options) --ratio \(outcome.ratio)",
      "\(input.scoring.count) sequences of \(input.context) tokens, \(input.queries) queries each, "
        + (isTrained ? "\(batch) a step" : "\(draws) draws")
        + ", seed \(data.seed), data sha256 \(input.digest)",
      "KL on \(input.validation.count) other sequences: " + judged.joined(separator: ", "),
    ].joined(separator: "; ")
    return document
  }
}

extension LearnCommand {
  /// What `--scope` says of a run.
  private func scopeName(_ result: LearnRun.Result) -> String {
    result.importance.count > 1 ? "both" : result.importance.keys.first?.rawValue ?? "layer"
  }
}

/// `--budget` of `learn`.
enum LearnBudgetChoice: String, ExpressibleByArgument, CaseIterable {
  case sum, log, measured, best

  var budgets: [LearnBudget] {
    LearnBudget(rawValue: rawValue).map { [$0] } ?? LearnBudget.allCases
  }
}
