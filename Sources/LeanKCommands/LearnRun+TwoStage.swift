import LeanKLearn
import LeanKMask

extension LearnRun {
  /// Trains both stages, from where an earlier run was stopped, and judges their masks.
  func train(_ request: TwoStageLearning.Request) throws -> Result {
    let training = TwoStageLearning(learning.store, request, learning.compute)
    let parts = try parts(forCommit: false)
    let position = try parts.position()
    let outcomes = try withProgress("training") { progress in
      try training.run(from: position, progress: progress) { position, _ in
        try parts.write(position)
      }
    }
    let judged = try withProgress("judging") { progress in
      try learning.judge(
        outcomes.map {
          Candidate(ratio: $0.ratio, way: .twoStage(request.rule), selection: $0.selection)
        }, progress: progress)
    }
    var factors: [Double: ImportanceScores] = [:]
    for outcome in outcomes {
      factors[outcome.ratio] = try ImportanceScores(
        kind: ImportanceScores.alphaKind, values: outcome.factors)
    }
    return Result(
      importance: [:], factors: factors, dense: judged.dense, outcomes: judged.outcomes)
  }
}
