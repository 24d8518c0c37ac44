public import ByteIO
import TensorFiles

/// Where a run of two stages is, in a file beside its output.
extension ScoreParts {
  private static let trainingName = "training.safetensors"
  private static let stepsKey = UTF8Name("leank.stage_steps")

  /// Keeps where a run is.
  public func write(_ position: TwoStageLearning.Position) throws(FileError) {
    var arrays: [(name: String, values: [Double])] = [
      ("finished", position.finished.flatMap { $0.map { Double($0) } })
    ]
    if let state = position.current {
      arrays += [
        ("factors", state.factors), ("first_moments", state.firstMoments),
        ("second_moments", state.secondMoments),
      ]
    }
    try write(
      arrays, metadata: [Self.stepsKey: "\(position.current?.steps ?? 0)"],
      to: Self.trainingName)
  }

  /// Where a run was stopped, its beginning where nothing was kept. Fails with `.otherInputs` where
  /// the file belongs to another run.
  public func position() throws(LearnError) -> TwoStageLearning.Position {
    guard let file = try open(Self.trainingName) else { return .beginning }
    let count = widths.reduce(0) { $0 + $1.reduce(0, +) }
    guard count > 0, let finished = try doubles(file, "finished"),
      finished.count.isMultiple(of: count), let steps = file.header.metadata[Self.stepsKey],
      let steps = Int(steps), steps >= 0
    else { throw otherInputs(Self.trainingName) }
    var position = TwoStageLearning.Position(
      finished: stride(from: 0, to: finished.count, by: count).map { first in
        finished[first..<first + count].map { Float($0) }
      })
    if let factors = try doubles(file, "factors") {
      guard let first = try doubles(file, "first_moments"),
        let second = try doubles(file, "second_moments"),
        [factors, first, second].allSatisfy({ $0.count == count })
      else { throw otherInputs(Self.trainingName) }
      position.current = FactorTraining.State(
        factors: factors, firstMoments: first, secondMoments: second, steps: steps)
    }
    return position
  }
}
