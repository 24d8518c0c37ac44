import LeanKMask
import LeanKModel
import TensorFiles
import TestSupport
import Testing

@testable import LeanKDecoder

/// Derivatives carried back through whole models, against torch's autograd in float64.
@Suite struct GradientTests {
  /// `Fixtures/Gradients/reference.safetensors`; make_gradients.py has the rules of both functions.
  struct Expected {
    let name: String
    let mode: String
    private let file: SafetensorsFile
    static let step = 3

    init(_ name: String, _ mode: String) throws {
      self.name = name
      self.mode = mode
      file = try SafetensorsFile(path: Fixtures.path("Gradients/reference.safetensors"))
    }

    static func weights(_ positions: Range<Int>, hidden: Int) -> Matrix {
      Matrix(
        rows: positions.count, columns: hidden,
        values: positions.flatMap { token in
          (0..<hidden).map { Float((7 * token + 13 * $0) % 11 - 5) / 4 }
        })
    }

    static func factors(_ description: ModelDescription) -> [[[Float]]] {
      description.layers.enumerated().map { layer, one in
        (0..<one.attention.kvHeads).map { head in
          (0..<one.attention.headDim).map { Float(1 + (5 * layer + 3 * head + 7 * $0) % 8) / 8 }
        }
      }
    }

    func array(_ part: String) throws -> [Float] { try whole("\(name).\(mode).\(part)") }

    func whole(_ key: String) throws -> [Float] {
      guard let info = file[key], info.scalar == .f32 else {
        throw FixtureError("no F32 array \(key)")
      }
      let bytes = try file.array(info).bytes
      return stride(from: 0, to: bytes.count, by: 4).map {
        Float(bitPattern: UInt32(littleEndian: bytes, $0))
      }
    }
  }

  /// What leank makes of the same.
  struct Run {
    let positions: Range<Int>
    let loss: Double
    let gradients: ContextRecord.Gradients

    init(_ model: DecoderModel, tokens: [Int32], mode: String, threads: Int) throws {
      let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
      let isStatic = mode == "static"
      let form = try ContextForm(
        factors: Expected.factors(model.description), of: model)
      positions = (isStatic ? 0 : 24)..<tokens.count
      var pass = try ContextPass(
        WeightStore(model), [.init(tokens: tokens, queries: positions.count)],
        forms: [form],
        policy: isStatic ? AttentionPolicy() : AttentionPolicy(mode: .windowed(window)),
        densePrompt: !isStatic, ComputeContext(threads: threads))
      let (hidden, record) = try pass.record(form: 0)
      let weights = Expected.weights(positions, hidden: model.description.hiddenSize)
      loss = zip(weights.values, hidden[0][0].values).reduce(0) {
        $0 + Double($1.0) * Double($1.1)
      }
      gradients = try record.backward([weights])
    }
  }

  /// Largest difference over the largest element, f32 against f64 through all layers; at most 5.6e-6 where
  /// it was measured.
  static let tolerance: Float = 1e-5

  @Test(arguments: ReferenceModel.names, ["static", "windowed"])
  func agreesWithTorch(name: String, mode: String) throws {
    let fixture = try ReferenceModel(name)
    try compare(fixture.model, try fixture.tokens("input_ids"), try Expected(name, mode))
  }

  /// Reference models with something changed that none of them has.
  enum Variant: String, CaseIterable, Sendable {
    case sharesOfAll = "qwen3_moe_shares"
    case cappedExperts = "gpt_oss_capped"
    case relu = "llama_linear_relu"
    case gelu = "llama_linear_gelu"

    var source: String {
      switch self {
      case .sharesOfAll: "qwen3_moe"
      case .cappedExperts: "gpt_oss"
      case .relu, .gelu: "llama_linear"
      }
    }

    func changed(_ part: FeedForwardDescription) -> FeedForwardDescription {
      switch (self, part) {
      case (.sharesOfAll, .mixture(var mixture)):
        mixture.weighting = .softmaxThenTop(renormalise: false)
        return .mixture(mixture)
      case (.cappedExperts, .mixture(var mixture)):
        if case .interleaved(let gateUp, let gateUpBias, let down, let downBias, let alpha, _) =
          mixture.experts
        {
          mixture.experts = .interleaved(
            gateUp: gateUp, gateUpBias: gateUpBias, down: down, downBias: downBias, alpha: alpha,
            limit: 0.4)
        }
        return .mixture(mixture)
      case (.relu, .gated(let gate, let up, let down, _)):
        return .gated(gate: gate, up: up, down: down, activation: .relu)
      case (.gelu, .gated(let gate, let up, let down, _)):
        return .gated(gate: gate, up: up, down: down, activation: .gelu)
      default: return part
      }
    }
  }

  @Test(arguments: Variant.allCases, ["static", "windowed"])
  func variantsAgreeWithTorch(variant: Variant, mode: String) throws {
    let fixture = try ReferenceModel(variant.source)
    var description = fixture.model.description
    for index in description.layers.indices {
      description.layers[index].feedForward = variant.changed(
        description.layers[index].feedForward)
    }
    #expect(description != fixture.model.description)
    try compare(
      DecoderModel(description, weights: fixture.model.weights),
      try fixture.tokens("input_ids"), try Expected(variant.rawValue, mode))
  }

  private func compare(
    _ model: DecoderModel, _ tokens: [Int32], _ expected: Expected
  ) throws {
    let run = try Run(model, tokens: tokens, mode: expected.mode, threads: 2)
    let loss = try #require(try expected.array("loss").first)
    #expect(abs(run.loss - Double(loss)) <= 2e-3)
    func compare(_ found: [Float], _ part: String) throws {
      let exact = try expected.array(part)
      try #require(found.count == exact.count)
      let largest = exact.reduce(0) { max($0, abs($1)) }
      let difference = zip(found, exact).reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(largest > 0.1, "the fixture has nothing to compare")
      #expect(difference <= Self.tolerance * largest, "\(part): \(difference) of \(largest)")
    }
    let rows = stride(from: 0, to: run.positions.count, by: Expected.step)
    try compare(rows.flatMap { run.gradients.inputs[0].row($0) }, "inputs")
    try compare(run.gradients.factors.flatMap { $0[0][0] }, "factors")
  }

  /// Several sequences and several derivatives go together, on any number of threads, as each does alone.
  @Test(arguments: ["qwen3_moe", "gemma2", "stablelm_qkln", "gpt_oss", "olmo2"])
  func togetherAsAlone(name: String) throws {
    let fixture = try ReferenceModel(name)
    let hidden = fixture.model.description.hiddenSize
    let tokens = try fixture.tokens("input_ids")
    let contexts: [ContextPass.Context] = [
      .init(tokens: tokens, queries: 20), .init(tokens: tokens.reversed(), queries: 9),
    ]
    let window = try AttentionWindow(sink: 2, recent: 6, accumulate: 1)
    var generator = SeededGenerator(seed: 7)
    let copies = 3
    let given = contexts.map { context in
      Matrix(
        rows: copies * context.queries, columns: hidden,
        values: (0..<copies * context.queries * hidden).map { _ in
          Float.random(in: -1...1, using: &generator)
        })
    }
    func backward(
      _ contexts: [ContextPass.Context], _ given: [Matrix], copies: Int, threads: Int
    ) throws -> ContextRecord.Gradients {
      var pass = try ContextPass(
        WeightStore(fixture.model), contexts, forms: [.dense],
        policy: AttentionPolicy(mode: .windowed(window)), densePrompt: true,
        ComputeContext(threads: threads))
      return try pass.record(form: 0).record.backward(given, copies: copies)
    }
    let together = try backward(contexts, given, copies: copies, threads: 3)
    let again = try backward(contexts, given, copies: copies, threads: 1)
    #expect(together.inputs == again.inputs && together.factors == again.factors)
    for (number, context) in contexts.enumerated() {
      for copy in 0..<copies {
        let rows = copy * context.queries..<(copy + 1) * context.queries
        let alone = try backward(
          [context], [given[number].rows(rows)], copies: 1, threads: 1)
        #expect(
          together.inputs[number].rows(rows).largestDifference(from: alone.inputs[0]) <= 1e-4)
        for layer in together.factors.indices {
          for (one, other) in zip(
            together.factors[layer][copy][number], alone.factors[layer][0][0])
          {
            #expect(abs(one - other) <= 1e-4)
          }
        }
      }
    }
  }

  /// What random directions say about the whole model comes to what all directions say.
  @Test(arguments: ["gemma2", "gpt_oss", "llama_gqa", "qwen3_moe"])
  func curvatureOfTheModelAgreesWithTorch(name: String) throws {
    let fixture = try ReferenceModel(name)
    let exact = try Expected(name, "").whole("\(name).curvature")
    let tokens = try fixture.tokens("input_ids")
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    let draws = 200
    let found = try CurvaturePass.run(
      WeightStore(fixture.model),
      CurvaturePass.Request(
        [(0, .init(tokens: tokens, queries: 24))],
        policy: AttentionPolicy(mode: .windowed(window)), draws: draws, seed: 3),
      throughModel: true, ComputeContext(threads: 2))
    let scores = try #require(found.modelScores).flatMap { $0.flatMap { $0.flatMap(\.self) } }
    try #require(scores.count == exact.count)
    // A channel's estimate is off by sqrt(2 / draws) or a tenth, those of all channels together by less.
    var ratios: [Double] = []
    for (score, exact) in zip(scores, exact) {
      if exact == 0 {
        #expect(score == 0)
      } else {
        ratios.append(score / Double(exact))
      }
    }
    #expect(ratios.count > exact.count / 2)
    #expect(ratios.allSatisfy { (0.6...1.5).contains($0) })
    #expect(abs(ratios.reduce(0, +) / Double(ratios.count) - 1) <= 0.05)
  }
}
