public import LeanKDecoder
public import LeanKMask

/// LeanK's two stages for several ratios: the first stage once, then the second one for each ratio from
/// the factors that the first one left.
public struct TwoStageLearning {
  public let store: WeightStore
  public let request: Request
  public let compute: ComputeContext

  /// How the stages are trained, and on what.
  public struct Request: Sendable {
    /// Sequences to train on; steps take `batch` after `batch` of them, from the first again after the
    /// last.
    public var training: [ContextSample]
    public var ratios: [Double]
    public var unit: Int
    public var rule: Alignment.Rule
    public var pairs: Bool
    public var mode: DeploymentHints
    /// Steps of each stage.
    public var steps: (first: Int, second: Int)
    /// Sequences a step.
    public var batch: Int
    /// Largest step size of the first stage; the second one's is half of it.
    public var rate = 0.02
    /// Cost of the factors' mean in the first stage.
    public var penalty = 0.06

    public init(
      training: [ContextSample], ratios: [Double], unit: Int, rule: Alignment.Rule,
      pairs: Bool = false, mode: DeploymentHints, steps: (first: Int, second: Int), batch: Int = 8
    ) {
      self.training = training
      self.ratios = ratios
      self.unit = unit
      self.rule = rule
      self.pairs = pairs
      self.mode = mode
      self.steps = steps
      self.batch = batch
    }
  }

  /// How far a run is; another one goes on from it with the same result.
  public struct Position: Sendable, Hashable {
    /// Factors of the stages that are done: the first stage's, then those for each ratio.
    public var finished: [[Float]]
    /// The stage that is under way, nil between two.
    public var current: FactorTraining.State?

    public static let beginning = Position(finished: [])

    public init(finished: [[Float]], current: FactorTraining.State? = nil) {
      self.finished = finished
      self.current = current
    }
  }

  /// What came out for one ratio: the factors, in 0...1, and the mask that the rule chose of them.
  public struct Outcome: Sendable, Hashable {
    public let ratio: Double
    public let factors: [Float]
    public let selection: MaskSelection
  }

  public init(_ store: WeightStore, _ request: Request, _ compute: ComputeContext) {
    self.store = store
    self.request = request
    self.compute = compute
  }

  /// Steps of all stages.
  public var steps: Int { request.steps.first + request.ratios.count * request.steps.second }

  /// Trains from `position` on. `onStep` gets where the run is after each step, and what the step saw;
  /// `progress` hears of layers, over all steps.
  ///
  /// Fails where the rule cannot choose with the request's ratio and unit, before the first step.
  public func run(
    from position: Position = .beginning,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      _, _ throws(DecoderError) in
    },
    onStep: (Position, FactorTraining.Progress) throws -> Void = { _, _ in }
  ) throws -> [Outcome] {
    for index in 0...request.ratios.count {
      _ = try FactorTraining(settings(stage: index), of: store.model)
    }
    var position = position
    var outcomes: [Outcome] = []
    for index in 0...request.ratios.count {
      var training = try stage(index, position)
      while position.finished.count == index, !training.isDone {
        let before = index == 0 ? 0 : request.steps.first + (index - 1) * request.steps.second
        let done = before + training.state.steps
        let seen = try training.step(store, samples(step: done), compute) {
          layer, layers throws(DecoderError) in
          try progress(done * layers + layer, steps * layers)
        }
        position.current = training.state
        try onStep(position, seen)
      }
      if position.finished.count == index {
        position = Position(finished: position.finished + [training.factors])
      }
      guard index > 0 else { continue }
      outcomes.append(
        Outcome(
          ratio: request.ratios[index - 1], factors: position.finished[index],
          selection: try training.selection()))
    }
    return outcomes
  }

  /// A stage as `position` has it: done, under way, or at its beginning.
  private func stage(_ index: Int, _ position: Position) throws(MaskError) -> FactorTraining {
    let settings = settings(stage: index)
    if index < position.finished.count {
      return try FactorTraining(settings, of: store.model, from: position.finished[index])
    }
    if index == position.finished.count, let state = position.current {
      return try FactorTraining(settings, of: store.model, resuming: state)
    }
    return try FactorTraining(settings, of: store.model, from: position.finished.first)
  }

  private func settings(stage index: Int) -> FactorTraining.Settings {
    let isFirst = index == 0
    return FactorTraining.Settings(
      steps: isFirst ? request.steps.first : request.steps.second,
      rate: isFirst ? request.rate : request.rate / 2, penalty: isFirst ? request.penalty : 0,
      ratio: isFirst ? nil : request.ratios[index - 1], unit: request.unit, rule: request.rule,
      pairs: request.pairs, mode: request.mode)
  }

  private func samples(step: Int) -> [ContextSample] {
    (0..<request.batch).map {
      request.training[(step * request.batch + $0) % request.training.count]
    }
  }
}
