public import ByteIO
import LeanKMask
import LeanKModel

/// One run of a model: its caches, and the tokens that went through.
///
/// f32 arithmetic over f32, f16 and bf16 weights. A run is deterministic; it does not depend on the
/// number of threads, nor on other sessions beside it. A copy goes on by itself.
public struct DecodingSession {
  public let store: WeightStore
  public let form: AttentionForm
  public let policy: AttentionPolicy
  private var layers: [any LayerAttention]
  private let rotations: [RotaryFrequencies?]
  private let length: Int
  /// Tokens that went through so far, and where the last prompt among them ends.
  public private(set) var history: [Int32] = []
  public private(set) var promptEnd = 0
  /// Where the middle ends for what is cached; it never goes back.
  private var middleEnd = 0

  /// A run that is still empty.
  ///
  /// `length` is the number of tokens that the run will have; it chooses the frequencies of rotations
  /// that depend on it (`dynamic`, `longrope`): all tokens are rotated as in one pass over the whole
  /// run. Fails when a mask does not fit the model, or the model applies an unknown function.
  public init(
    _ store: WeightStore, _ form: AttentionForm, policy: AttentionPolicy = AttentionPolicy(),
    length: Int
  ) throws(DecoderError) {
    self.store = store
    self.form = form
    self.policy = policy
    self.length = length
    let description = store.model.description
    try description.requireKnownFunctions()
    layers = try form.layers(of: description, policy)
    rotations = description.rotations(length: length)
  }

  /// Number of tokens that went through.
  public var count: Int { history.count }

  /// Elements of keys and values held over all layers.
  public var cached: CacheSize { layers.reduce(CacheSize()) { $0 + $1.cached } }

  // MARK: - Whole passes

  /// Takes a prompt through all layers in one pass; returns the hidden states of its tokens after the
  /// final norm, [tokens, hidden].
  public mutating func prefill(
    _ tokens: [Int32], _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    try forward(tokens, prompt: tokens.count, compute)
  }

  /// Decodes one given token; returns its hidden state after the final norm, [1, hidden].
  public mutating func step(
    _ token: Int32, _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    try forward([token], prompt: 0, compute)
  }

  /// Takes given tokens through all layers, the first `prompt` as one prompt and the others as decoded
  /// one by one, though each weight is read once.
  public mutating func forward(
    _ tokens: [Int32], prompt: Int, _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    let pass = try begin(tokens, prompt: prompt)
    var hidden = try store.embed(tokens)
    let tables = rotaryTables(pass)
    for index in layers.indices {
      hidden = try apply(
        layer: index, try store.layer(index), to: hidden, pass, tables[index], compute
      ).hidden
    }
    store.endPass()
    end(tokens, pass)
    return try store.finish(hidden, compute)
  }

  /// Logits of hidden states after the final norm, [rows, vocabulary].
  public func logits(
    _ hidden: Matrix, _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    let vocabulary = store.model.description.vocabularySize
    var blocks: [[Float]] = []
    for range in (0..<vocabulary).blocks(of: store.headStep) {
      blocks.append(try store.head(range).logits(hidden, compute).values)
    }
    return Matrix(columnBlocks: blocks, rows: hidden.rows, columns: vocabulary)
  }

  /// Whether a run of `count` tokens rotates in another way than this one does.
  public func rotationsChange(at count: Int) -> Bool {
    guard count > length else { return false }
    return zip(store.model.description.layers, rotations).contains { layer, frequencies in
      guard let rotary = layer.attention.rotary, let frequencies else { return false }
      return RotaryFrequencies(rotary, length: count) != frequencies
    }
  }

  // MARK: - Layer by layer

  /// The pass that `tokens` would be; the first `prompt` are a prompt.
  func begin(_ tokens: [Int32], prompt: Int) throws(DecoderError) -> TokenPass {
    guard prompt >= 0, prompt <= tokens.count, prompt > 0 || count > 0 else {
      throw DecoderError(
        .promptLength, "a prompt of \(prompt) tokens in a run of \(tokens.count)")
    }
    return TokenPass(
      first: count, prompt: prompt, decoded: tokens.count - prompt,
      decodedBefore: count - promptEnd, middleEndBefore: middleEnd)
  }

  /// Rotations of a pass by layer; layers with the same frequencies share a table.
  func rotaryTables(_ pass: TokenPass) -> [RotaryTable?] {
    RotaryTable.shared(rotations, positions: pass.positions)
  }

  /// Takes `x` through one layer; returns the residual stream after it and the attention before it
  /// joined the stream. `record` gets what a backward pass needs, unless it is nil.
  mutating func apply(
    layer index: Int, _ weights: LayerWeights, to x: Matrix, _ pass: TokenPass,
    _ table: RotaryTable?, _ compute: ComputeContext, record: inout LayerRecord?
  ) throws(DecoderError) -> (hidden: Matrix, attention: Matrix) {
    var attended: Matrix?
    let result = try weights.block.forward(x, weights.feedForward, compute, record: &record) {
      normed throws(DecoderError) in
      let values = try layers[index].attend(normed, pass, weights.attention, table, compute)
      attended = values
      return weights.attention.output.forward(values, compute)
    }
    record?.attended = attended
    return result
  }

  mutating func apply(
    layer index: Int, _ weights: LayerWeights, to x: Matrix, _ pass: TokenPass,
    _ table: RotaryTable?, _ compute: ComputeContext
  ) throws(DecoderError) -> (hidden: Matrix, attention: Matrix) {
    var record: LayerRecord?
    return try apply(layer: index, weights, to: x, pass, table, compute, record: &record)
  }

  /// Notes that a pass went through all layers.
  mutating func end(_ tokens: [Int32], _ pass: TokenPass) {
    if pass.prompt > 0 { promptEnd = count + pass.prompt }
    history += tokens
    if let window = policy.window {
      // What the newest decoded token left; after a prompt what the first one cannot see whole.
      let decoded = count - promptEnd
      middleEnd = max(middleEnd, count - window.recent - decoded % window.accumulate)
    }
  }

  /// Forgets what a layer remembers and returns how much it was: a run that does not go on needs no
  /// layer's past once all its tokens are through it.
  mutating func release(layer index: Int) throws(DecoderError) -> CacheSize {
    let cached = layers[index].cached
    layers[index] = try form.layer(index, of: store.model.description, policy)
    return cached
  }

  /// The same run from the beginning, for `length` tokens.
  func restarted(length: Int) throws(DecoderError) -> DecodingSession {
    try DecodingSession(store, form, policy: policy, length: length)
  }
}

extension Range<Int> {
  /// The range cut into pieces of `size`, the last one maybe shorter.
  func blocks(of size: Int) -> [Range<Int>] {
    stride(from: lowerBound, to: upperBound, by: size).map {
      $0..<Swift.min($0 + size, upperBound)
    }
  }
}
