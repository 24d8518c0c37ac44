import LeanKCheckpoint
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKModel
import TensorFiles
import TestSupport
import Testing

/// LeanK's two stages against torch: autograd, AdamW and the rules, all in float64.
@Suite struct FactorTrainingTests {
  /// A run of make_training.py.
  struct Run: Sendable {
    let name: String
    let model: String
    let rule: Alignment.Rule
    let pairs: Bool
    let ratio: Double
    let unit: Int

    static let all = [
      Run(
        name: "windowed", model: "llama_gqa", rule: .budget, pairs: false, ratio: 0.5, unit: 4),
      Run(name: "pairs", model: "glm4", rule: .leank, pairs: true, ratio: 0.4, unit: 2),
    ]

    func expected(_ part: String) throws -> [Float] {
      try floats(
        SafetensorsFile(path: Fixtures.path("Gradients/training.safetensors")), "\(name).\(part)")
    }

    func open() throws -> (DecoderModel, [ContextSample]) {
      let path = Fixtures.path("Reference/\(model)")
      let directory = try CheckpointDirectory(path: path)
      let file = try SafetensorsFile(path: path + "/reference.safetensors")
      let info = try #require(file["input_ids"])
      let bytes = try file.array(info).bytes
      let tokens = stride(from: 0, to: bytes.count, by: 8).map {
        Int32(bytes[$0]) | Int32(bytes[$0 + 1]) << 8
      }
      return (
        DecoderModel(
          try directory.describe().description, weights: CheckpointWeights(directory)),
        [
          ContextSample(tokens: tokens, queries: 24, answer: 5),
          ContextSample(tokens: tokens.reversed(), queries: 24),
        ]
      )
    }

    func settings(stage: Int) throws -> FactorTraining.Settings {
      let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
      return FactorTraining.Settings(
        steps: stage == 1 ? 6 : 5, rate: stage == 1 ? 0.02 : 0.01, penalty: stage == 1 ? 0.06 : 0,
        ratio: stage == 1 ? nil : ratio, unit: unit, rule: rule, pairs: pairs,
        mode: name == "windowed" ? .windowed(window) : .static)
    }
  }

  static func floats(_ file: SafetensorsFile, _ name: String) throws -> [Float] {
    let info = try #require(file[name])
    let bytes = try file.array(info).bytes
    return stride(from: 0, to: bytes.count, by: 4).map { place in
      Float(
        bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) })
    }
  }

  static func begin(_ count: Int) -> [Float] { (0..<count).map { Float((37 * $0) % 101) / 101 } }

  @Test(arguments: Run.all) func stagesAgreeWithTorch(run: Run) throws {
    let (model, samples) = try run.open()
    let differences = try run.expected("differences")
    var step = 0
    for stage in [1, 2] {
      let expected = try run.expected("stage\(stage)")
      var training = try FactorTraining(
        try run.settings(stage: stage), of: model,
        from: stage == 1 ? nil : Self.begin(expected.count))
      let compute = ComputeContext(threads: 2)
      while !training.isDone {
        let progress = try training.step(WeightStore(model), samples, compute)
        let exact = Double(differences[step])
        #expect(
          abs(progress.difference - exact) <= 1e-5 * max(exact, 1e-2),
          "stage \(stage), step \(step)")
        step += 1
      }
      let difference = zip(training.factors, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(difference <= 1e-5)
    }
    #expect(step == differences.count)
  }

  /// A stage that goes on from its state gives the bits of one that was never stopped.
  @Test(arguments: Run.all) func resumedAsUnbroken(run: Run) throws {
    let (model, samples) = try run.open()
    let settings = try run.settings(stage: 2)
    let start = Self.begin(try run.expected("stage2").count)
    let store = WeightStore(model, residentLimit: 1 << 24)
    var unbroken = try FactorTraining(settings, of: model, from: start)
    var broken = unbroken
    for _ in 0..<4 { _ = try unbroken.step(store, samples, ComputeContext(threads: 1)) }
    for _ in 0..<4 {
      _ = try broken.step(store, samples, ComputeContext(threads: 3))
      broken = try FactorTraining(settings, of: model, resuming: broken.state)
    }
    #expect(broken.state == unbroken.state)
    #expect(try broken.selection() == unbroken.selection())
  }

  @Test func refusesAnotherModelsFactors() throws {
    let run = Run.all[0]
    let (model, _) = try run.open()
    #expect(throws: MaskError.self) {
      try FactorTraining(try run.settings(stage: 2), of: model, from: Self.begin(7))
    }
    var settings = try run.settings(stage: 2)
    settings.ratio = 1.5
    #expect(throws: MaskError.self) {
      try FactorTraining(settings, of: model)
    }
  }
}
