import LeanKDecoder
import LeanKMask
import LeanKModel
import TensorFiles
import TestSupport
import Testing

/// The bundled trained model: five arrays of logits, and what a mask leaves of its ability.
@Suite struct TrainedModelTests {
  /// Logits reach 26 here; float64 differs from the reference by up to 6.7e-5.
  static let tolerance: Float = 2e-4
  static let promptLength = 210

  static func mask(_ name: String, _ model: DecoderModel) throws -> ChannelMask {
    let bytes = try Fixtures.bytes("Masks/leank-tiny/\(name)_align16.npy")
    let array = try NpyReader.read(bytes.span)
    let perLayer = array.count / model.description.layers.count
    return try ReferenceModel.mask(model.description) { layer in
      array.bytes[layer * perLayer..<(layer + 1) * perLayer].map { $0 != 0 }
    }
  }

  static func reference() throws -> SafetensorsFile {
    try SafetensorsFile(path: Fixtures.path("Reference/leank-tiny.safetensors"))
  }

  @Test(arguments: ["static_mask_r0.5", "static_pairs_mask_r0.5", "windowed_mask_r0.7"])
  func staticLogits(name: String) throws {
    let model = try ReferenceModel.open(Fixtures.path("Models/leank-tiny"))
    let mask = try Self.mask(name, model)
    let file = try Self.reference()
    let tokens = try ReferenceModel.tokens(file, "input_ids")
    let closed = try mask.closed
    let sliced = SlicedWeights.slice(model, by: mask)
    let sides: [Side] = [
      .dense(model), .masked(model, mask), .pruned(model, mask),
      .pruned(sliced, mask, rows: closed),
    ]
    let run = try TestRun(sides, prompt: Self.promptLength, tokens: tokens, threads: 2)
    let dense = try ReferenceModel.matrix(file, "logits_dense")
    let masked = try ReferenceModel.matrix(file, "logits_masked.\(name)")
    for (side, logits) in run.logits.enumerated() {
      #expect(logits.largestDifference(from: side == 0 ? dense : masked) <= Self.tolerance)
    }
  }

  @Test func windowedLogits() throws {
    let name = "windowed_mask_r0.7"
    let model = try ReferenceModel.open(Fixtures.path("Models/leank-tiny"))
    let mask = try Self.mask(name, model)
    let file = try Self.reference()
    let tokens = try ReferenceModel.tokens(file, "input_ids")
    let window = try AttentionWindow(sink: 4, recent: 16, accumulate: 8)
    let run = try TestRun(
      [.masked(model, mask), .pruned(model, mask)], prompt: Self.promptLength, tokens: tokens,
      policy: AttentionPolicy(mode: .windowed(window)), threads: 2)
    let expected = try ReferenceModel.matrix(file, "logits_deploy.\(name)")
    for logits in run.logits {
      #expect(logits.largestDifference(from: expected) <= Self.tolerance)
    }
  }
}
