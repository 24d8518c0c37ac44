import ByteIO
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKModel
import TestSupport
import Testing

/// Both stages for several ratios, in a run that is stopped and goes on.
@Suite struct TwoStageLearningTests {
  private struct Stopped: Error {}

  private func learning() throws -> (TwoStageLearning, DecoderModel) {
    let (model, samples) = try FactorTrainingTests.Run.all[0].open()
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    let request = TwoStageLearning.Request(
      training: samples + samples.reversed(), ratios: [0.5, 0.75], unit: 4, rule: .budget,
      mode: .windowed(window), steps: (first: 3, second: 2), batch: 3)
    return (
      TwoStageLearning(
        WeightStore(model, residentLimit: 1 << 24), request, ComputeContext(threads: 2)),
      model
    )
  }

  @Test("a run that was stopped after any step gives what an unbroken one gives")
  func resumed() throws {
    let (learning, model) = try learning()
    var steps = 0
    let unbroken = try learning.run(onStep: { _, _ in steps += 1 })
    #expect(steps == learning.steps && steps == 7)
    #expect(unbroken.map(\.ratio) == [0.5, 0.75])
    for outcome in unbroken {
      #expect(outcome.selection.realisedRatio == outcome.ratio)
      #expect(outcome.factors.allSatisfy { (0...1).contains($0) })
    }
    #expect(unbroken[0].factors != unbroken[1].factors)

    let directory = try TemporaryDirectory()
    let widths = model.description.layers.map {
      [Int](repeating: $0.attention.headDim, count: $0.attention.kvHeads)
    }
    func parts(_ digest: String) throws -> ScoreParts {
      try ScoreParts(
        beside: directory.path("mask.leank"), digest: digest, widths: widths, inputs: [],
        forCommit: false)
    }
    for _ in 0..<learning.steps {
      do {
        _ = try learning.run(
          from: try parts("one").position(),
          onStep: { position, _ in
            try parts("one").write(position)
            throw Stopped()
          })
        Issue.record("nothing was left to do before the last step")
      } catch is Stopped {}
    }
    let resumed = try learning.run(
      from: try parts("one").position(),
      onStep: { _, _ in Issue.record("all steps were done") })
    #expect(resumed == unbroken)
    #expect(throws: LearnError.self) { try parts("another").position() }
    do {
      _ = try parts("another").position()
    } catch let error as LearnError {
      #expect(error.code == .otherInputs)
    }
  }
}
