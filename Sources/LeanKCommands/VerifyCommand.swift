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
      First every tensor of PRUNED is compared with DENSE: it has to be byte-identical, or exactly \
      the rows the mask asks for; every other file that a loader may read has to be as convert writes \
      it. Then both are decoded on the same tokens, DENSE with the mask applied to whole keys, PRUNED \
      with a cache of the kept channels only, and the logits compared. With --mask in place of PRUNED, \
      the mask is tried on the dense weights.

      EXAMPLE
        leank verify Llama-3.1-8B Llama-3.1-8B-rows --tokens prompt.json --greedy 16
        leank verify Llama-3.1-8B --mask mask.leank --mode windowed
      """)

  @Argument(help: "Directory of the dense checkpoint.")
  var dense: String

  @Argument(help: "Directory that leank convert made from it.")
  var pruned: String?

  @Option(
    help:
      "Try this mask on the dense weights instead of verifying a pruned checkpoint (default: none)."
  )
  var mask: String?

  @OptionGroup var instanceOptions: InstanceOptions

  @Option(
    help:
      "Tokens to decode: a JSON list, .npy, or .safetensors with input_ids (default: random ones).")
  var tokens: String?

  @Option(help: "Decode this text, by the dense model's tokenizer (default: none).")
  var prompt: String?

  @Option(help: "Decode the text of this file, - for standard input (default: none).")
  var text: String?

  @Option(
    help:
      "Tokens that go through in one pass (default: all given but the last 32; of random ones 32, or in windowed mode sink + recent + accumulate + 32)."
  )
  var promptLength: Int?

  @Option(
    help: "Tokens after the prompt, decoded one by one (default: the rest; of random ones 32).")
  var decode: Int?

  @Option(help: "Then let each side continue this many tokens of its own (default: 0).")
  var greedy: Int?

  @Option(help: "Seed of random tokens, a whole number (default: 0).")
  var seed: UInt64?

  @Option(help: "Number of threads (default: one a processor).")
  var threads: Int?

  @OptionGroup var modeOptions: ModeOptions

  @Option(
    help:
      "Largest difference of logits that passes, in place of the exact verdict and the comparison with the run's noise (default: none)."
  )
  var tolerance: Double?

  @Flag(help: "No difference passes where both sides add in one order: the default.")
  var exact = false

  @Flag(name: .customLong("layers"), help: "List every layer's largest differences.")
  var listsLayers = false

  @Flag(help: "Compare tensors only, decode nothing.")
  var structureOnly = false

  @Option(
    help:
      "Write logits_dense, logits_masked and logits_pruned to this .safetensors file (default: none)."
  )
  var saveLogits: String?

  @Flag(help: "Print the outcome as JSON.")
  var json = false

  func validate() throws {
    guard (pruned == nil) != (mask == nil) else {
      throw ValidationError("give either PRUNED or --mask FILE")
    }
    guard (greedy ?? 0) >= 0, (decode ?? 0) >= 0, (promptLength ?? 1) >= 1 else {
      throw ValidationError("--prompt-length is at least 1, --decode and --greedy at least 0")
    }
    guard (1...1024).contains(threads ?? 1) else {
      throw ValidationError("--threads is a number from 1 to 1024")
    }
    guard [tokens, prompt, text].compactMap({ $0 }).count <= 1 else {
      throw ValidationError("give one of --tokens, --prompt and --text")
    }
    guard seed == nil || (tokens ?? prompt ?? text) == nil else {
      throw ValidationError("--seed makes random tokens, --tokens, --prompt and --text give others")
    }
    guard tolerance.map({ $0 >= 0 && $0.isFinite }) ?? true else {
      throw ValidationError("--tolerance is a number of at least 0")
    }
    guard !(exact && tolerance != nil) else {
      throw ValidationError("--exact lets no difference pass: not with --tolerance")
    }
    if structureOnly, let option = decodeOptions.first(where: \.isGiven) {
      throw ValidationError("--structure-only decodes nothing: not with \(option.name)")
    }
    guard !(structureOnly && mask != nil) else {
      throw ValidationError("--structure-only compares two checkpoints, --mask has only one")
    }
    guard instanceOptions.instance == nil || mask != nil else {
      throw ValidationError("--instance chooses a mask of --mask, PRUNED has only one")
    }
  }

  /// Options of the decode, and whether the command line has them.
  private var decodeOptions: [(name: String, isGiven: Bool)] {
    [
      ("--tokens", tokens != nil), ("--prompt", prompt != nil), ("--text", text != nil),
      ("--prompt-length", promptLength != nil),
      ("--decode", decode != nil), ("--greedy", greedy != nil), ("--seed", seed != nil),
      ("--threads", threads != nil),
      (
        "--mode, --sink, --recent, --accumulate, --prefill or --empty-heads", modeOptions.isGiven
      ),
      ("--tolerance", tolerance != nil), ("--exact", exact), ("--layers", listsLayers),
      ("--save-logits", saveLogits != nil),
    ]
  }

  var inputs: [String] { [dense] + [pruned, mask, tokens, text].compactMap(\.self) }

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

    // All that can be refused is, before checkpoints are read.
    var request: Verification.Request?
    if !structureOnly {
      try requireReadable(source)
      request = try decodeRequest(source, subject)
      if let saveLogits { try checkOutputFile(saveLogits, replacing: true, inputs: inputs) }
    }
    var report = VerifyReport()
    if let checkpoint = subject.checkpoint {
      let progress = ProgressBar(console: console, isShown: !json, label: "comparing")
      let proof = try StructureProof.run(
        StructureProof.Request(
          dense: source, pruned: checkpoint, mask: subject.document.mask,
          maskContentID: subject.contentID, knownFiles: [ModelCard.known]),
        progress: progress.update)
      progress.finish()
      report.add(proof)
    }
    if let request, report.structure.passed {
      report.add(
        try verify(request, console),
        elementBytes: source.cacheElementBytes(of: request.dense.description))
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
}
