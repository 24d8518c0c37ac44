import LeanKMask
import LeanKModel
import TensorFiles
import TestSupport
import Testing

@testable import LeanKDecoder

/// How far a layer's attention moves with each channel of middle keys, against torch's autograd in
/// float64; make_layer_curvature.py has the rules.
@Suite struct CurvatureTests {
  private static let unit = 4

  private static func expected(_ key: String) throws -> [Float] {
    let file = try SafetensorsFile(path: Fixtures.path("Gradients/layer_curvature.safetensors"))
    guard let info = file[key], info.scalar == .f32 else {
      throw FixtureError("no F32 array \(key)")
    }
    let bytes = try file.array(info).bytes
    return stride(from: 0, to: bytes.count, by: 4).map {
      Float(bitPattern: UInt32(littleEndian: bytes, $0))
    }
  }

  private static func run(
    _ name: String, draws: Int = 3, threads: Int = 2,
    measuring: CurvaturePass.Measurement? = nil, copies: Int = 1
  ) throws -> Curvature {
    let fixture = try ReferenceModel(name)
    let tokens = try fixture.tokens("input_ids")
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    let context = ContextPass.Context(tokens: tokens, queries: tokens.count - 24)
    return try CurvaturePass.run(
      WeightStore(fixture.model),
      CurvaturePass.Request(
        (0..<copies).map { ($0, context) }, policy: AttentionPolicy(.windowed(window)),
        draws: draws, seed: 3),
      measuring: measuring, ComputeContext(threads: threads))
  }

  static let names = ReferenceModel.names

  @Test(arguments: names) func scoresAreThoseOfAutograd(name: String) throws {
    let expected = try Self.expected("\(name).scores")
    let found = try Self.run(name).scores[0].joined().joined().map { $0 }
    #expect(found.count == expected.count)
    let largest = Double(expected.max() ?? 0)
    for (a, b) in zip(found, expected) {
      #expect(abs(a - Double(b)) <= 1e-4 * Double(b) + 1e-6 * largest)
    }
  }

  @Test(arguments: ["cohere", "gemma2", "gpt_oss", "llama_gqa", "mistral_swa", "qwen3"])
  func errorsAreThoseOfPrunedAttention(name: String) throws {
    let expected = try Self.expected("\(name).errors")
    let measurement = CurvaturePass.Measurement(unit: Self.unit) { _, scores in
      scores[0].map { head in
        head.indices.sorted { head[$0] != head[$1] ? head[$0] > head[$1] : $0 < $1 }
      }
    }
    let found = try #require(try Self.run(name, measuring: measurement).errors)
    let flat = found.joined().joined().map { $0 }
    #expect(flat.count == expected.count)
    let largest = Double(expected.max() ?? 0)
    for (a, b) in zip(flat, expected) {
      #expect(abs(a - Double(b)) <= 1e-4 * Double(b) + 1e-6 * largest)
    }
  }

  @Test(arguments: ["gemma2", "gpt_oss", "mixtral", "qwen3_moe"])
  func scoresDoNotDependOnThreadsOrOnTheOthersOfAPass(name: String) throws {
    let alone = try Self.run(name, draws: 2, threads: 1)
    let together = try Self.run(name, draws: 2, threads: 2, copies: 3)
    #expect(alone.scores[0] == together.scores[0])
    #expect(together.scores[1] != together.scores[0])
  }
}
