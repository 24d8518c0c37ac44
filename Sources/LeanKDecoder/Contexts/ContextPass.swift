public import ByteIO
import LeanKMask
import LeanKModel

/// A pass of several contexts through a model, in which the tokens at the end of each, its queries, go
/// through in several forms side by side, as if they were decoded one by one.
///
/// What comes before the queries goes through densely, once for all forms. Weights are read once;
/// memory holds a layer, the residual streams, and one sequence's keys and values.
///
/// Sequences go through a layer one after another: how many tokens a product has decides by which loops
/// it is summed, and no result may depend on the sequences beside it.
public struct ContextPass {
  let store: WeightStore
  let compute: ComputeContext
  let sequences: [ContextSequence]
  let forms: [ContextForm]
  private let rotations: [[RotaryTable?]]
  /// Residual streams of the prompts, [prompt, hidden] a sequence.
  private var prompts: [Matrix] = []
  /// Residual streams of the queries, [queries, hidden] by form and sequence.
  private var streams: [[Matrix]] = []

  /// What goes through: `tokens`, of which the last `queries` are looked at.
  public struct Context: Sendable {
    public let tokens: [Int32]
    public let queries: Int

    /// `queries` is at least 1 and at most the number of tokens.
    public init(tokens: [Int32], queries: Int) {
      precondition(queries >= 1 && queries <= tokens.count)
      self.tokens = tokens
      self.queries = queries
    }
  }

  /// `densePrompt`: whether what comes before the queries is computed densely; otherwise all tokens go
  /// through in every form. Fails on a model with an unknown function.
  public init(
    _ store: WeightStore, _ contexts: [Context], forms: [ContextForm], policy: AttentionPolicy,
    densePrompt: Bool, _ compute: ComputeContext
  ) throws(DecoderError) {
    let description = store.model.description
    try description.requireKnownFunctions()
    self.store = store
    self.compute = compute
    self.forms = forms
    sequences = contexts.map {
      ContextSequence(
        tokens: $0.tokens, prompt: densePrompt ? $0.tokens.count - $0.queries : 0, policy: policy)
    }
    // Contexts of one length share their tables.
    var tables: [Int: [RotaryTable?]] = [:]
    rotations = sequences.map { sequence in
      let length = sequence.tokens.count
      if let found = tables[length] { return found }
      let made = RotaryTable.shared(
        description.rotations(length: length), positions: 0..<length)
      tables[length] = made
      return made
    }
  }

  /// Sees a layer's queries of one form before they attend.
  typealias Visitor = (ContextLayer, _ residual: Matrix, ContextLayer.Queries)
    throws(DecoderError) -> Void

  /// Takes everything through all layers; returns the hidden states of the queries after the final
  /// norm, [queries, hidden] by form and sequence. `progress` hears of every layer.
  public mutating func run(
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      _, _ throws(DecoderError) in
    }
  ) throws(DecoderError) -> [[Matrix]] {
    try run(
      progress: progress, visit: { _, _, _ throws(DecoderError) in },
      layerDone: { _ throws(DecoderError) in })
  }

  mutating func run(
    visiting visited: Int = 0,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void, visit: Visitor,
    layerDone: (_ layer: Int) throws(DecoderError) -> Void
  ) throws(DecoderError) -> [[Matrix]] {
    try embed()
    let layers = store.model.description.layers
    for index in layers.indices {
      let layer = ContextLayer(
        index: index, description: layers[index], weights: try store.layer(index),
        compute: compute)
      for number in sequences.indices {
        let seen = try advancePrompt(number, layer, isLast: index == layers.count - 1)
        for form in forms.indices {
          try advance(number, form: form, layer, seen, visited: visited, visit: visit)
        }
      }
      try layerDone(index)
      try progress(index + 1, layers.count)
    }
    store.endPass()
    prompts = []
    let hidden = try streams.map { streams throws(DecoderError) in
      try streams.map { stream throws(DecoderError) in try store.finish(stream, compute) }
    }
    streams = []
    return hidden
  }

  private mutating func embed() throws(DecoderError) {
    prompts = []
    var queries: [Matrix] = []
    for sequence in sequences {
      let hidden = try store.embed(sequence.tokens)
      prompts.append(hidden.rows(0..<sequence.prompt))
      queries.append(hidden.rows(sequence.queries))
    }
    streams = forms.map { _ in queries }
  }

  /// Takes one sequence's prompt through a layer; returns its keys and values there.
  private mutating func advancePrompt(
    _ number: Int, _ layer: ContextLayer, isLast: Bool
  ) throws(DecoderError) -> ContextKeys {
    let sequence = sequences[number]
    var seen = ContextKeys()
    guard sequence.prompt > 0 else { return seen }
    let positions = 0..<sequence.prompt
    let table = rotations[number][layer.index]
    let block = layer.weights.block
    if isLast {
      // Nothing reads what the last layer makes of a prompt.
      let normed = block.attentionNorm?.forward(prompts[number], compute) ?? prompts[number]
      let (_, key, value) = layer.project(normed, positions, table)
      seen.append(key, value)
      return seen
    }
    var record: LayerRecord?
    prompts[number] = try block.forward(
      prompts[number], layer.weights.feedForward, compute, record: &record
    ) { normed throws(DecoderError) in
      let (query, key, value) = layer.project(normed, positions, table)
      seen.append(key, value)
      let queries = ContextLayer.Queries(
        number: number, positions: positions, table: table, queries: query, seen: seen,
        views: sequence.views(positions, layer.description.attention))
      let values = layer.attend(queries, .dense)
      return layer.weights.attention.output.forward(values, compute)
    }.hidden
    return seen
  }

  /// Takes one sequence's queries through a layer in one form; `seen` are its prompt's keys and values.
  private mutating func advance(
    _ number: Int, form: Int, _ layer: ContextLayer, _ seen: ContextKeys, visited: Int,
    visit: Visitor
  ) throws(DecoderError) {
    let sequence = sequences[number]
    let table = rotations[number][layer.index]
    let stream = streams[form][number]
    var record: LayerRecord?
    streams[form][number] = try layer.weights.block.forward(
      stream, layer.weights.feedForward, compute, record: &record
    ) { normed throws(DecoderError) in
      let (query, key, value) = layer.project(normed, sequence.queries, table)
      var seen = seen
      seen.append(key, value)
      let queries = ContextLayer.Queries(
        number: number, positions: sequence.queries, table: table, queries: query, seen: seen,
        views: sequence.views(sequence.queries, layer.description.attention))
      if form == visited { try visit(layer, stream, queries) }
      let values = layer.attend(queries, forms[form])
      return layer.weights.attention.output.forward(values, compute)
    }.hidden
  }
}
