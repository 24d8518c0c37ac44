/// What a pass over some sequences says about the channels of a model's keys.
public struct Curvature: Sendable, Hashable {
  /// Of one sequence: how far the layer's attention output moves with each channel of middle keys,
  /// by layer, KV head and channel. For a factor a on the channel, 1 everywhere,
  /// the mean over the queries of ||d o / d a||^2, divided by the mean square of the layer's input.
  public typealias Scores = [[[Double]]]
  /// Mean squared error of a layer's attention output when a KV head keeps only its best channels
  /// for middle keys, relative to the layer's input: by layer, KV head and number of blocks kept, from
  /// none to one less than all.
  public typealias Errors = [[[Double]]]

  /// Scores of each sequence.
  public let scores: [Scores]
  /// Scores of each sequence through the whole model, where they were asked for: the same of the hidden
  /// states after the final norm in the place of a layer's output, and of its input.
  public let modelScores: [Scores]?
  /// Errors over all sequences of the pass, where they were asked for.
  public let errors: Errors?
}

/// A pass that finds scores and errors, one layer at a time: no derivative crosses a layer, unless it is
/// asked for the whole model's.
public struct CurvaturePass {
  /// Sequences whose ends are looked at, and how.
  public struct Request: Sendable {
    /// Sequences with their numbers, which choose their random directions.
    public let contexts: [(number: Int, context: ContextPass.Context)]
    /// Where middle keys lie: a window, or all keys in static mode.
    public let policy: AttentionPolicy
    /// Random directions a sequence.
    public let draws: Int
    public let seed: UInt64

    public init(
      _ contexts: [(number: Int, context: ContextPass.Context)], policy: AttentionPolicy,
      draws: Int, seed: UInt64
    ) {
      self.contexts = contexts
      self.policy = policy
      self.draws = draws
      self.seed = seed
    }
  }

  /// Asks a layer's order of channels, best first by KV head, once all sequences of the pass are scored
  /// there; errors are measured for the first `unit`, 2 `unit`, ... of them.
  public struct Measurement {
    let unit: Int
    let order: (_ layer: Int, _ scores: [[[Double]]]) -> [[Int]]

    /// `order`: from the layer's number and the scores of each sequence there.
    public init(unit: Int, order: @escaping (_ layer: Int, _ scores: [[[Double]]]) -> [[Int]]) {
      self.unit = unit
      self.order = order
    }
  }

  /// Takes the sequences through the model, and, with `throughModel`, derivatives back through all layers,
  /// for which memory holds all layers' keys and values. `progress` hears of every layer.
  public static func run(
    _ store: WeightStore, _ request: Request, measuring measurement: Measurement? = nil,
    throughModel: Bool = false, _ compute: ComputeContext,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      _, _ throws(DecoderError) in
    }
  ) throws(DecoderError) -> Curvature {
    var scores = [Curvature.Scores](repeating: [], count: request.contexts.count)
    var errors: Curvature.Errors = []
    var pass = try ContextPass(
      store, request.contexts.map(\.context), forms: [.dense], policy: request.policy,
      densePrompt: true, compute)
    var layer: [LayerCurvature] = []
    var record = ContextRecord(store, .dense, compute)
    let way = throughModel ? 2 : 1
    let hidden = try pass.run(
      progress: { done, total throws(DecoderError) in try progress(done, way * total) },
      visit: { context, stream, call throws(DecoderError) in
        if throughModel { record.keep(context.index, stream, call) }
        let found = LayerCurvature(context, stream, call)
        scores[call.number].append(
          found.scores(
            number: request.contexts[call.number].number, draws: request.draws,
            seed: request.seed))
        layer.append(found)
      },
      layerDone: { index throws(DecoderError) in
        if let measurement {
          let order = measurement.order(index, scores.map { $0[index] })
          let heads = LayerCurvature.errors(
            layer, order: order, unit: measurement.unit, isStatic: request.policy.window == nil)
          errors.append(heads)
        }
        layer = []
      })
    var modelScores: [Curvature.Scores]?
    if throughModel {
      modelScores = try ModelCurvature(
        store.model.description, request, hidden: hidden[0]
      ).scores(record) { done, total throws(DecoderError) in
        try progress(total + done, way * total)
      }
    }
    return Curvature(
      scores: scores, modelScores: modelScores, errors: measurement == nil ? nil : errors)
  }
}
