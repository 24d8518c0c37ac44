import LeanKDecoder
import LeanKReport
import LeanKTokenizer

/// One continuation with its text and times.
struct GenerationRun {
  private(set) var generation: Generation
  private let tokenizer: Tokenizer
  /// nil goes on behind them.
  private let endTokens: EndTokens?
  /// Tokens of the continuation, an end token included.
  private(set) var tokens: [Int32] = []
  private(set) var text = ""
  private(set) var promptSeconds = 0.0
  private(set) var decodeSeconds = 0.0

  init(_ generation: Generation, _ tokenizer: Tokenizer, endTokens: EndTokens?) {
    self.generation = generation
    self.tokenizer = tokenizer
    self.endTokens = endTokens
  }

  /// Continues `prompt` by up to `most` tokens and gives `onText` what each adds to the text.
  mutating func generate(
    after prompt: [Int32], most: Int, onText: (String) throws -> Void
  ) throws {
    let clock = ContinuousClock()
    var stream = TextStream(tokenizer)
    func add(_ part: String) throws {
      guard !part.isEmpty else { return }
      try onText(part)
    }
    let start = clock.now
    var next = try generation.prefill(prompt)
    let decodeStart = clock.now
    promptSeconds = start.duration(to: decodeStart) / .seconds(1)
    while true {
      tokens.append(next)
      if endTokens?.contains(Int(next)) == true { break }
      let part = try stream.append(Int(next))
      text += part
      try add(part)
      guard tokens.count < most else { break }
      next = try generation.step(next)
    }
    decodeSeconds = decodeStart.duration(to: clock.now) / .seconds(1)
    let rest = try stream.finish()
    text += rest
    try add(rest)
  }
}

/// What `generate` made; the property names are the keys of `--json`.
struct GenerateReport: Encodable {
  var text_: String
  var tokens: [Int32]
  var promptTokens: Int
  var promptTokensPerSecond: Double
  /// null for a single token, which the prompt gives.
  var decodeTokensPerSecond: Nullable<Double>
  var kCacheBytes: Int
  var vCacheBytes: Int

  private enum CodingKeys: String, CodingKey {
    case text_ = "text"
    case tokens, promptTokens, promptTokensPerSecond, decodeTokensPerSecond, kCacheBytes
    case vCacheBytes
  }

  init(_ run: GenerationRun, prompt: Int, codec: CacheCodec) {
    text_ = run.text
    tokens = run.tokens
    promptTokens = prompt
    promptTokensPerSecond = Double(prompt) / max(run.promptSeconds, 1e-9)
    let steps = run.tokens.count - 1
    decodeTokensPerSecond = Nullable(
      steps > 0 ? Double(steps) / max(run.decodeSeconds, 1e-9) : nil)
    let bytes = codec.bytes(run.generation.session.cached)
    kCacheBytes = bytes.keys
    vCacheBytes = bytes.values
  }

  /// For people, behind the text.
  var text: String {
    let decode = decodeTokensPerSecond.wrapped.map {
      ", decoded \(Formatting.fixed($0, digits: 1)) tokens/s"
    }
    return
      "prompt \(promptTokens) tokens at \(Formatting.fixed(promptTokensPerSecond, digits: 1)) tokens/s"
      + (decode ?? "") + "; K cache \(Formatting.bytes(kCacheBytes)), V cache "
      + Formatting.bytes(vCacheBytes)
  }
}
