import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKModel
import LeanKPruning
import LeanKReport

/// A model that `learn` makes a mask for.
struct LearnSubject {
  let model: DecoderModel
  var description: ModelDescription { model.description }

  /// Fails where the checkpoint is pruned, or has weights that the decoder cannot read.
  init(_ checkpoint: CheckpointDirectory) throws {
    let described = try checkpoint.describe()
    let weights = CheckpointWeights(checkpoint)
    try weights.requireReadable(described.shapes.keys)
    model = DecoderModel(described.description, weights: weights)
  }
}

/// The long part of `learn`: scores that stay beside the output until the masks are made, and the masks.
struct LearnRun {
  let learning: Learning
  let digest: String
  let output: String
  let checkpoint: CheckpointDirectory
  let console: Console
  let showsProgress: Bool

  struct Result {
    let importance: [CurvatureScope: ImportanceScores]
    /// Of training, by ratio.
    var factors: [Double: ImportanceScores] = [:]
    let dense: MaskEvaluation.Predictions
    let outcomes: [Learning.Outcome]

    /// The scores that a mask was chosen from.
    func importance(of candidate: Candidate) -> ImportanceScores? {
      switch candidate.way {
      case .curvature(let scope, _): importance[scope]
      case .twoStage: factors[candidate.ratio]
      }
    }
  }

  /// Scores the sequences of one part, as far as they are not there; returns how many are its own.
  func score(_ part: ShardPart) throws -> Int {
    let own = learning.sequences.filter { $0 % part.count == part.number - 1 }
    var scores: Learning.Scores = [:]
    try complete(&scores, own, try parts(forCommit: false))
    return own.count
  }

  /// Scores what is missing, or fails where something is and `requiringAll`; makes the masks.
  func finish(requiringAll: Bool) throws -> Result {
    var scores: Learning.Scores = [:]
    if requiringAll {
      try requireAll()
      try load(&scores, Array(learning.sequences), try parts(forCommit: true))
    } else {
      try complete(&scores, Array(learning.sequences), try parts(forCommit: false))
    }
    try withProgress("measuring") { progress in
      try learning.measure(&scores, progress: progress)
    }
    let judged = try withProgress("judging") { progress in
      try learning.outcomes(scores, progress: progress)
    }
    return Result(
      importance: try scores.mapValues { try $0.importance() }, dense: judged.dense,
      outcomes: judged.outcomes)
  }

  /// Removes the scores beside the output, which has them now, unless another run is at them.
  func discard() { try? parts(forCommit: true).discard() }

  func parts(forCommit: Bool) throws(FileError) -> ScoreParts {
    try ScoreParts(
      beside: output, digest: digest,
      widths: learning.geometries.map { .init(repeating: $0.headDim, count: $0.kvHeads) },
      inputs: [checkpoint.directory], forCommit: forCommit)
  }

  private func requireAll() throws {
    func fail(_ missing: Int, _ first: Int) -> LearnError {
      LearnError(
        .missingParts,
        "\(counted(missing, "sequence")) of \(learning.sequences.count) are not scored, the first is "
          + "number \(first): run learn --shard K/N for all K first, or without --merge")
    }
    let parts: ScoreParts
    do throws(FileError) {
      parts = try self.parts(forCommit: true)
    } catch {
      guard error.code == .missing else { throw error }
      throw fail(learning.sequences.count, 0)
    }
    let missing = try learning.sequences.filter { number in
      try learning.request.scopes.contains { try parts.read(number, $0) == nil }
    }
    if let first = missing.first { throw fail(missing.count, first) }
  }

  private func load(
    _ scores: inout Learning.Scores, _ numbers: [Int], _ parts: ScoreParts
  ) throws {
    for number in numbers {
      for scope in learning.request.scopes {
        guard let found = try parts.read(number, scope) else { continue }
        scores[scope, default: CurvatureScores()].add(found, of: number)
      }
    }
  }

  private func complete(
    _ scores: inout Learning.Scores, _ numbers: [Int], _ parts: ScoreParts
  ) throws {
    try load(&scores, numbers, parts)
    let missing = numbers.filter { number in
      learning.request.scopes.contains { scores[$0]?.sequences[number] == nil }
    }
    try withProgress("scoring") { progress in
      try learning.score(missing, into: &scores, progress: progress) { found in
        for scope in learning.request.scopes {
          for (number, score) in (found[scope] ?? [:]).sorted(by: { $0.key < $1.key }) {
            try parts.write(score, of: number, scope)
          }
        }
      }
    }
  }

  /// Runs `body` under a progress bar; what it hears stops it where the run was asked to stop.
  func withProgress<Value>(
    _ label: String, _ body: (Learning.Progress) throws -> Value
  ) throws -> Value {
    let bar = ProgressBar(console: console, isShown: showsProgress, label: label, unit: "layers")
    defer { bar.finish() }
    return try body { (done, total) throws(DecoderError) in
      bar.update(done, of: total)
      if Interruption.isRequested {
        throw DecoderError(
          .interrupted, "interrupted; the same command goes on where it stopped")
      }
    }
  }
}
