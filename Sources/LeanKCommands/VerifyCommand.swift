import ArgumentParser
import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles

/// `leank verify`
struct VerifyCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Prove that a pruned checkpoint computes what its mask says.",
    discussion: """
      First every tensor of PRUNED is compared with DENSE: it has to be byte-identical, or exactly
      the rows the mask asks for. Then both are decoded on the same tokens, DENSE with the mask
      applied to whole keys, PRUNED with a cache of the kept channels only, and the logits compared.
      With --mask in place of PRUNED, the mask is tried on the dense weights.

      EXAMPLE
        leank verify Llama-3.1-8B Llama-3.1-8B-rows --tokens prompt.json --greedy 16
        leank verify Llama-3.1-8B --mask mask.leank --mode windowed
      """)

  @Argument(help: "Directory of the dense checkpoint.")
  var dense: String

  @Argument(help: "Directory that leank convert made from it.")
  var pruned: String?

  @Option(help: "Try this mask on the dense weights instead of verifying a pruned checkpoint.")
  var mask: String?

  @OptionGroup var instanceOptions: InstanceOptions

  @Option(
    help:
      "Tokens to decode: a JSON list, .npy, or .safetensors with input_ids (default: random ones).")
  var tokens: String?

  @Option(
    help:
      "Tokens that go through in one pass (default: all given but the last 32; of random ones 32, or in windowed mode sink + recent + accumulate + 32)."
  )
  var promptLength: Int?

  @Option(
    help: "Tokens after the prompt, decoded one by one (default: the rest; of random ones 32).")
  var decode: Int?

  @Option(help: "Then let each side continue this many tokens of its own.")
  var greedy = 0

  @Option(help: "Seed of random tokens.")
  var seed: UInt64 = 0

  @Option(help: "Threads (default: one a processor).")
  var threads: Int?

  @OptionGroup var modeOptions: ModeOptions

  @Option(
    help: "Largest difference of logits that passes (default: 3e-5 * max(1, max|logits| / 8)).")
  var tolerance: Double?

  @Flag(
    help:
      "Take the sums of attention in one order on both sides; any difference fails.")
  var exact = false

  @Flag(name: .customLong("layers"), help: "List every layer's largest differences.")
  var listsLayers = false

  @Flag(help: "Compare tensors only, decode nothing.")
  var structureOnly = false

  @Option(help: "Write logits_dense, logits_masked and logits_pruned to this .safetensors file.")
  var saveLogits: String?

  @Flag(help: "Print the outcome as JSON.")
  var json = false

  func validate() throws {
    guard (pruned == nil) != (mask == nil) else {
      throw ValidationError("give either PRUNED or --mask FILE")
    }
    guard greedy >= 0, (decode ?? 0) >= 0, (promptLength ?? 1) >= 1, (threads ?? 1) >= 1 else {
      throw ValidationError(
        "--prompt-length and --threads are at least 1, --decode and --greedy at least 0")
    }
    guard tolerance.map({ $0 >= 0 && $0.isFinite }) ?? true else {
      throw ValidationError("--tolerance is a number of at least 0")
    }
    guard !(exact && (tolerance != nil || structureOnly)) else {
      throw ValidationError(
        "--exact decodes and lets no difference pass: not with --tolerance or --structure-only")
    }
    guard !(structureOnly && mask != nil) else {
      throw ValidationError("--structure-only compares two checkpoints, --mask has only one")
    }
    guard instanceOptions.instance == nil || mask != nil else {
      throw ValidationError("--instance chooses a mask of --mask, PRUNED has only one")
    }
  }

  func run(on console: Console) throws -> CInt {
    let clock = ContinuousClock()
    let start = clock.now
    let source = try CheckpointDirectory(path: dense)
    guard source.pruned == nil else {
      throw CommandError(
        .unsupported, "\(escaped(dense, limit: 4096)): already pruned, DENSE has to be the source")
    }
    let subject = try VerifySubject(
      pruned: pruned, mask: mask, instance: instanceOptions.chosen, dense: source)
    subject.notes.forEach { console.warn($0) }

    if !structureOnly { try requireReadable(source) }
    var report = VerifyReport()
    if let checkpoint = subject.checkpoint {
      let progress = ProgressBar(console: console, isShown: !json, label: "comparing")
      let proof = try StructureProof(
        dense: source, pruned: checkpoint, mask: subject.document.mask,
        maskContentID: subject.contentID, progress: progress.update)
      progress.finish()
      report.add(proof)
    }
    if !structureOnly, report.structure.passed {
      let verification = try verify(source, subject, console)
      if let saveLogits { try save(verification, to: saveLogits) }
      report.add(
        verification, elementBytes: try source.cacheElementBytes,
        givenTolerance: tolerance)
    }
    report.listsLayers = listsLayers
    report.peakMemoryBytes = Nullable(Machine.peakMemory)
    report.seconds = start.duration(to: clock.now) / .seconds(1)
    if json { try console.print(json: report) } else { try console.print(report.text) }
    return report.passed ? LeankExit.success : LeankExit.difference
  }

  /// Says that weights cannot be decoded before they are compared; the structure proof holds the
  /// pruned ones to the same types.
  private func requireReadable(_ checkpoint: CheckpointDirectory) throws {
    do {
      let model = try checkpoint.describe()
      try CheckpointWeights(checkpoint).requireReadable(Array(model.shapes.keys))
    } catch let error as CheckpointError where error.code == .quantised {
      throw cannotDecode(error.description)
    } catch let error as DecoderError where error.code == .scalarType {
      throw cannotDecode("\(escaped(checkpoint.path, limit: 4096)): \(error)")
    }
  }

  private func cannotDecode(_ reason: String) -> CommandError {
    CommandError(
      .unsupported,
      reason + "; the weights cannot be decoded, --structure-only compares their bytes")
  }

  private func verify(
    _ source: CheckpointDirectory, _ subject: VerifySubject, _ console: Console
  ) throws -> Verification {
    let mode = try modeOptions.resolve(hints: subject.deployment)
    if let layout = subject.checkpoint?.pruned?.layout, layout != .cache, mode.mode == .windowed {
      throw UsageError("--mode windowed: layout \(layout.rawValue) is always static")
    }
    let model = try source.describe().description
    let options = DecodeOptions(
      mode: mode, prefill: mode.window?.prefill ?? .dense,
      emptyHeads: mode.window?.emptyHeads ?? .absent, isExact: exact,
      threads: threads ?? Machine.processors,
      residentWeights: greedy > 0 ? Machine.memory / 4 : 0)
    let run = try tokenRun(for: model, options: options)
    let dense = DecoderModel(model, weights: CheckpointWeights(source))
    let progress = ProgressBar(
      console: console, isShown: !json, label: "decoding", unit: "layers")
    defer { progress.finish() }
    return try Verification(
      dense: dense, pruned: try subject.prunedModel(of: model, dense: dense),
      mask: try model.adopt(subject.document.mask), tokens: run.tokens,
      promptLength: run.promptLength, greedyCount: greedy, options: options, tolerance: tolerance,
      onProgress: progress.update)
  }

  /// The tokens of the run and the length of its prompt.
  private func tokenRun(
    for model: ModelDescription, options: DecodeOptions
  ) throws -> (tokens: [Int32], promptLength: Int) {
    let prompt: Int
    var ids: [Int]
    if let tokens {
      ids = try TokenInput.read(tokens)
      guard !ids.isEmpty else { throw UsageError("--tokens \(escaped(tokens)): no tokens") }
      prompt = promptLength ?? max(1, ids.count - 32)
      let length = prompt + (decode ?? ids.count - min(prompt, ids.count))
      guard length <= ids.count else {
        throw UsageError(
          "--prompt-length \(prompt) and --decode \(decode ?? 0) take \(length) tokens, "
            + "\(escaped(tokens)) has \(ids.count)")
      }
      ids = Array(ids.prefix(length))
    } else {
      let window = options.mode.window.map { $0.sink + $0.recent + $0.accumulate } ?? 0
      prompt = promptLength ?? window + 32
      ids = TokenInput.random(
        count: prompt + (decode ?? 32), vocabulary: model.vocabularySize, seed: seed)
    }
    if let outside = ids.first(where: { $0 >= model.vocabularySize }) {
      throw CommandError(
        .malformed, "token \(outside) is outside the model's vocabulary of \(model.vocabularySize)")
    }
    try checkMiddle(options, promptLength: prompt, tokens: ids.count)
    return (ids.map { Int32($0) }, prompt)
  }

  /// A windowed run that no query of which meets a middle key would test nothing.
  private func checkMiddle(_ options: DecodeOptions, promptLength: Int, tokens: Int) throws {
    guard let window = options.mode.window,
      options.middlePairs(promptLength: promptLength, tokens: tokens) == 0
    else { return }
    let enough =
      (tokens...tokens + promptLength + window.sink + window.recent + window.accumulate + 2)
      .first { options.middlePairs(promptLength: promptLength, tokens: $0) > 0 }
    throw UsageError(
      "no query of this run meets a middle key, so it would test nothing: with sink \(window.sink), "
        + "recent \(window.recent), accumulate \(window.accumulate) and a prompt of \(promptLength) it "
        + "takes \(enough ?? tokens) tokens, there are \(tokens)")
  }

  private func save(_ verification: Verification, to path: String) throws {
    let arrays = [
      ("logits_dense", verification.dense), ("logits_masked", verification.masked),
      ("logits_pruned", verification.pruned),
    ].map { name, matrix in
      (
        name: name,
        array: TensorArray(
          scalar: .f32, shape: [matrix.rows, matrix.columns],
          bytes: matrix.values.flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
          })
      )
    }
    let inputs = [dense] + [pruned, mask, tokens].compactMap { $0 }
    try writeFileAtomically(
      encodeSafetensors(arrays).span, to: path, replacing: true, inputs: inputs)
  }
}
