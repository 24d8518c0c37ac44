public import ByteIO
public import LeanKDecoder
public import LeanKMask
import LeanKModel

/// One stage of LeanK's training: a factor in 0...1 on each channel of the keys that a mask is about,
/// trained until the model's last hidden states are as near to the dense model's as they get.
///
/// The first stage adds a cost of large factors and masks nothing. The second one masks: in each step the
/// rule chooses the channels of the factors at hand, the others count as 0, and the derivative passes
/// straight through. A stage is a value; one that stopped goes on from its `state`.
public struct FactorTraining: Sendable, Hashable {
  /// How a stage trains.
  public struct Settings: Sendable, Hashable {
    public var steps: Int
    /// Largest step size; it rises and falls over a fifth of the steps each, from and to a tenth.
    public var rate: Double
    /// Cost of the factors' mean.
    public var penalty: Double
    /// Share of channels that the stage masks, nil in the first stage.
    public var ratio: Double?
    public var unit: Int
    public var rule: Alignment.Rule
    /// Whether the two channels of a pair share the mean of their factors, and a fate.
    public var pairs: Bool
    /// Static, or a window with a dense prompt; the window's accumulation is taken as 1.
    public var mode: DeploymentHints

    public init(
      steps: Int, rate: Double, penalty: Double, ratio: Double?, unit: Int, rule: Alignment.Rule,
      pairs: Bool, mode: DeploymentHints
    ) {
      self.steps = steps
      self.rate = rate
      self.penalty = penalty
      self.ratio = ratio
      self.unit = unit
      self.rule = rule
      self.pairs = pairs
      self.mode = mode
    }

    /// Step size of step `index`, from 0.
    func rate(step index: Int) -> Double {
      let fifth = Double(steps) / 5
      let rising = max(Double(index + 1) / fifth, 0.1)
      let falling = max(Double(steps - index) / fifth, 0.1)
      return rate * min(1, rising, falling)
    }
  }

  /// All that a stage remembers between steps.
  public struct State: Sendable, Hashable {
    /// Layers, KV heads and channels one after another, as the last step left them.
    public var factors: [Double]
    public var firstMoments: [Double]
    public var secondMoments: [Double]
    /// Steps done.
    public var steps: Int

    public init(
      factors: [Double], firstMoments: [Double], secondMoments: [Double], steps: Int
    ) {
      self.factors = factors
      self.firstMoments = firstMoments
      self.secondMoments = secondMoments
      self.steps = steps
    }
  }

  /// What a step saw before it moved.
  public struct Progress: Sendable, Hashable {
    /// Mean squared difference of the last hidden states from the dense model's.
    public let difference: Double
    public let meanFactor: Double
  }

  public let settings: Settings
  private let model: ModelDescription
  private let layers: [LayerGeometry]
  private var values: [Double]
  private var optimizer: AdamW

  /// A stage for `model` that begins with factors of 1, or with those that the stage before left.
  /// Fails where the rule cannot choose with these settings.
  public init(
    _ settings: Settings, of model: DecoderModel, from start: [Float]? = nil
  ) throws(MaskError) {
    let count = try model.description.geometries.reduce(0) { $0 + $1.channels }
    let values = start?.map(Double.init) ?? [Double](repeating: 1, count: count)
    try self.init(
      settings, of: model,
      resuming: State(
        factors: values, firstMoments: .init(repeating: 0, count: count),
        secondMoments: .init(repeating: 0, count: count), steps: 0))
  }

  /// Goes on with a stage that stopped. Fails where `state` is another model's.
  public init(
    _ settings: Settings, of model: DecoderModel, resuming state: State
  ) throws(MaskError) {
    self.settings = settings
    self.model = model.description
    layers = try model.description.geometries
    let count = layers.reduce(0) { $0 + $1.channels }
    guard state.factors.count == count, state.firstMoments.count == count,
      let optimizer = AdamW(
        first: state.firstMoments, second: state.secondMoments, steps: state.steps)
    else {
      throw MaskError(.scores, "\(state.factors.count) factors for \(count) channels")
    }
    values = state.factors
    self.optimizer = optimizer
    if settings.ratio != nil { _ = try selection() }
  }

  public var state: State {
    State(
      factors: values, firstMoments: optimizer.first, secondMoments: optimizer.second,
      steps: optimizer.steps)
  }

  public var isDone: Bool { optimizer.steps >= settings.steps }

  /// The factors, in 0...1: layers, KV heads and channels one after another.
  public var factors: [Float] { values.map { Float(min(max($0, 0), 1)) } }

  /// The mask that the rule chooses of the factors, where the stage has a ratio.
  public func selection() throws(MaskError) -> MaskSelection {
    try MaskSelection(
      scores: try ImportanceScores(kind: ImportanceScores.alphaKind, values: factors),
      layers: layers, ratio: settings.ratio ?? 0, unit: settings.unit, rule: settings.rule,
      pairs: settings.pairs)
  }

  // MARK: - A step

  /// One step over `samples`: of a question the answer counts, of plain text all queries.
  ///
  /// Deterministic; nothing depends on the number of threads. Fails with `.notFinite` where the model's
  /// hidden states do.
  public mutating func step(
    _ store: WeightStore, _ samples: [ContextSample], _ compute: ComputeContext,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      _, _ throws(DecoderError) in
    }
  ) throws(DecoderError) -> Progress {
    for index in values.indices { values[index] = min(max(values[index], 0), 1) }
    let keeps: [Bool]
    do throws(MaskError) {
      keeps = settings.ratio == nil ? [] : try selection().mask.keepsByChannel
    } catch {
      throw DecoderError(.notFinite, error.description)
    }
    let seen = tied(values).enumerated().map { keeps.isEmpty || keeps[$0] ? $1 : 0 }
    let window = settings.mode.window?.unaccumulated
    var pass = try ContextPass(
      store, samples.map { .init(tokens: Array($0.context), queries: $0.queries) },
      forms: [.dense, try ContextForm(factors: nested(seen), of: store.model)],
      policy: AttentionPolicy(mode: window.map { .windowed($0) } ?? .static),
      densePrompt: window != nil, compute)
    let layerCount = model.layers.count
    let (hidden, record) = try pass.record(form: 1) { done, _ throws(DecoderError) in
      try progress(done, 2 * layerCount)
    }
    let (difference, gradient) = loss(samples, hidden)
    guard difference.isFinite else {
      throw DecoderError(.notFinite, "the hidden states of step \(optimizer.steps) are not finite")
    }
    let found = try record.backward(gradient) { done, _ throws(DecoderError) in
      try progress(layerCount + done, 2 * layerCount)
    }
    var slopes: [Double] = []
    for layer in found.factors {
      let sequences = layer[0]
      for channel in 0..<(sequences.first?.count ?? 0) {
        slopes.append(sequences.reduce(0) { $0 + Double($1[channel]) })
      }
    }
    slopes = tied(slopes)
    let share = settings.penalty / Double(max(1, values.count))
    for index in slopes.indices where values[index] > 0 { slopes[index] += share }
    let result = Progress(
      difference: difference, meanFactor: values.reduce(0, +) / Double(max(1, values.count)))
    optimizer.step(&values, slopes, rate: settings.rate(step: optimizer.steps))
    return result
  }

  /// Mean squared difference of the hidden states that count, and its derivatives by those under the
  /// factors, [queries, hidden] a sample.
  private func loss(
    _ samples: [ContextSample], _ hidden: [[Matrix]]
  ) -> (Double, gradient: [Matrix]) {
    let counts = samples.map { $0.answer > 0 ? $0.answer : $0.queries }
    let elements = Double(max(1, counts.reduce(0, +) * model.hiddenSize))
    var sum = 0.0
    var gradient: [Matrix] = []
    for (index, count) in counts.enumerated() {
      let (dense, masked) = (hidden[0][index], hidden[1][index])
      var values = [Float](repeating: 0, count: masked.values.count)
      for place in (masked.rows - count) * masked.columns..<values.count {
        let difference = Double(masked.values[place]) - Double(dense.values[place])
        sum += difference * difference
        values[place] = Float(2 * difference / elements)
      }
      gradient.append(Matrix(rows: masked.rows, columns: masked.columns, values: values))
    }
    return (sum / elements, gradient)
  }

  /// With pairs each channel at its pair's mean, which is its own transposed.
  private func tied(_ values: [Double]) -> [Double] {
    guard settings.pairs else { return values }
    var result = values
    var start = 0
    for layer in layers {
      for _ in 0..<layer.kvHeads {
        for channel in 0..<layer.headDim {
          if let partner = layer.rotaryOrAssumed.partner(of: channel) {
            result[start + channel] = (values[start + channel] + values[start + partner]) / 2
          }
        }
        start += layer.headDim
      }
    }
    return result
  }

  private func nested(_ values: [Double]) -> [[[Float]]] {
    var start = 0
    return layers.map { layer in
      (0..<layer.kvHeads).map { _ in
        defer { start += layer.headDim }
        return values[start..<start + layer.headDim].map { Float($0) }
      }
    }
  }
}

extension ChannelMask {
  /// Whether each channel is kept: layers, KV heads and channels one after another.
  fileprivate var keepsByChannel: [Bool] {
    layers.flatMap { layer in layer.heads.flatMap { head in (0..<head.width).map { head[$0] } } }
  }
}
