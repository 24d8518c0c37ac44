import ArgumentParser

/// What `learn` learns from.
struct LearnDataOptions: ParsableArguments {
  @Option(help: "A text to learn from, - for standard input; may be repeated (default: none).")
  var text: [String] = []

  @Option(
    help:
      "Its token ids instead: a JSON list, .npy, or .safetensors with input_ids; of shape [n], or [sequences, context + 1] with a sequence a row (default: none)."
  )
  var tokens: String?

  @Option(
    help: "Tokens of a sequence (default: 2048, or the model's own maximum where that is less).")
  var context: Int?

  @Option(
    help:
      "Sequences to score or to train on (default: 16, two-stage as many as its steps take, or all rows of --tokens but those to judge by)."
  )
  var sequences: Int?

  @Option(help: "Other sequences, to judge masks by.")
  var validation = 8

  @Option(help: "Tokens at the end of a sequence that are looked at.")
  var queries = 64

  @Option(
    help:
      "Share of the sequences that end in a question, 0 to 1 (default: 0.5, or 0 where the model has no tokenizer)."
  )
  var needles: Double?

  @Option(help: "Seed of sequences, questions and directions, a whole number.")
  var seed: UInt64 = 0

  /// All files that are read.
  var files: [String] { text + [tokens].compactMap(\.self) }

  func validate() throws {
    guard text.isEmpty != (tokens == nil) else {
      throw ValidationError("give either --text or --tokens")
    }
    guard (2...TokenInput.countLimit).contains(context ?? 2) else {
      throw ValidationError("--context is a number from 2 to \(TokenInput.countLimit)")
    }
    guard (1...1 << 16).contains(sequences ?? 1), (1...1 << 16).contains(validation) else {
      throw ValidationError("--sequences and --validation are numbers from 1 to \(1 << 16)")
    }
    guard queries >= 1 else { throw ValidationError("--queries is at least 1") }
    guard (0...1).contains(needles ?? 0) else {
      throw ValidationError("--needles is a share from 0 to 1")
    }
  }
}
