public import ArgumentParser
import ByteIO
import LeanKCheckpoint
public import LeanKDecoder
import LeanKMask
import LeanKModel
import LeanKReport
import LeanKTokenizer

/// `leank generate`
struct GenerateCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Let a model continue a text: dense, under a mask, or converted.",
    discussion: """
      The text streams to standard output as it comes; tokens a second and the bytes of the K/V cache \
      follow on standard error. A directory that leank convert made runs as its config.json says; with \
      --mask a dense one runs under the mask.

      EXAMPLE
        leank generate SmolLM2-135M --prompt "The capital of France is"
        leank generate SmolLM2-135M --mask mask.leank --prompt-file long.txt
        leank generate SmolLM2-135M-pruned --chat --prompt "What is a K cache?"
      """)

  @Argument(help: "The model's directory, dense or made by leank convert.")
  var directory: String

  @Option(help: "Run a dense model under this mask (default: none).")
  var mask: String?

  @OptionGroup var instanceOptions: InstanceOptions

  @Option(help: "The text to continue (default: none, --prompt-file has it).")
  var prompt: String?

  @Option(help: "A file with the text to continue, - for standard input (default: none).")
  var promptFile: String?

  @Option(help: "Most tokens of the continuation.")
  var maxTokens = 128

  @Option(help: "Randomness of the choice, 0 or more: 0 takes the likeliest token.")
  var temperature = 0.0

  @Option(
    name: .customLong("top-p"),
    help: "Choose among the likeliest tokens that have this share together, up to 1.")
  var topP = 1.0

  @Option(help: "Seed of the choice, a whole number.")
  var seed: UInt64 = 0

  @Flag(name: .customLong("ignore-eos"), help: "Go on behind the model's end tokens.")
  var ignoreEOS = false

  @Flag(help: "Put the prompt into the model's chat template, as a user's turn.")
  var chat = false

  @OptionGroup var modeOptions: ModeOptions

  @Option(help: "Element type of the K/V cache.")
  var cache = ElementType.f32

  @Option(help: "Number of threads (default: one a processor).")
  var threads: Int?

  @Flag(help: "Print text, tokens, rates and cache bytes as JSON when all is done.")
  var json = false

  func validate() throws {
    guard (prompt == nil) != (promptFile == nil) else {
      throw ValidationError("give either --prompt or --prompt-file")
    }
    guard (1...TokenInput.countLimit).contains(maxTokens) else {
      throw ValidationError("--max-tokens is a number from 1 to \(TokenInput.countLimit)")
    }
    guard Sampler(temperature: temperature, topP: topP) != nil else {
      throw ValidationError("--temperature is at least 0, --top-p above 0 and at most 1")
    }
    guard temperature > 0 || topP == 1 else {
      throw ValidationError("--top-p needs a --temperature above 0")
    }
    guard (1...1024).contains(threads ?? 1) else {
      throw ValidationError("--threads is a number from 1 to 1024")
    }
    guard mask != nil || instanceOptions.instance == nil else {
      throw ValidationError("--instance chooses a mask of --mask")
    }
  }

  func run(on console: Console) throws -> CInt {
    let checkpoint = try CheckpointDirectory(path: directory)
    let subject = try GenerationSubject(
      checkpoint, mask: mask, instance: instanceOptions.chosen, modeOptions, cache: cache)
    subject.notes.forEach { console.warn($0) }
    let tokenizer = try Tokenizer(directory: checkpoint.directory)
    let ids = try promptTokens(tokenizer, in: checkpoint.directory)
    let vocabulary = subject.model.description.vocabularySize
    if let outside = ids.first(where: { $0 >= vocabulary }) {
      throw CommandError(
        .malformed,
        "token \(outside) of the prompt is outside the model's vocabulary of \(vocabulary)")
    }
    let count = ids.count + maxTokens
    if let limit = checkpoint.configuration.contextLimit, count > limit {
      console.warn("\(count) tokens are more than the \(limit) that the model is made for")
    }
    guard let sampler = Sampler(temperature: temperature, topP: topP, seed: seed) else {
      throw UsageError("--temperature \(temperature), --top-p \(topP)")
    }
    let store = WeightStore(subject.model, residentLimit: Machine.memory / 2)
    try store.readAhead()
    var run = GenerationRun(
      Generation(
        try DecodingSession(
          store, subject.form, policy: subject.policy, length: ids.count), sampler,
        ComputeContext(threads: threads ?? Machine.processors)), tokenizer,
      endTokens: ignoreEOS ? nil : try EndTokens(directory: checkpoint.directory))
    try run.generate(after: ids.map { Int32($0) }, most: maxTokens) { text in
      if !json { try console.write(text) }
    }
    let report = GenerateReport(run, prompt: ids.count, codec: CacheCodec(cache))
    if json {
      try console.print(json: report)
    } else {
      try console.print()
      console.note(report.text)
    }
    return LeankExit.success
  }

  private func promptTokens(
    _ tokenizer: Tokenizer, in directory: DirectoryHandle
  ) throws -> [Int] {
    let text = try prompt ?? TextInput.read(promptFile ?? "-")
    let ids =
      chat
      ? try tokenizer.encode(
        try ChatTemplate(directory: directory).render([ChatMessage(role: "user", content: text)]),
        addingSpecialTokens: false)
      : try tokenizer.encode(text)
    guard !ids.isEmpty else { throw UsageError("the prompt has no tokens") }
    return ids
  }
}

extension ElementType: ExpressibleByArgument {}
