import ByteIO
import LeanKInterchange
import LeanKMask
import TensorFiles
import TestSupport
import Testing

/// Ten thousand damaged files per format: each is refused, or read and written again equal.
struct MutationTests {
  private static func seeds(_ format: InterchangeFormat) throws -> [[UInt8]] {
    switch format {
    case .npy: return [try Fixtures.bytes("Tensors/bool.npy")]
    case .npz: return [try Fixtures.bytes("Tensors/ragged.npz")]
    case .pth: return [try Fixtures.bytes("Tensors/numpy_bool.pth")]
    case .tsv: return [Array("0\t1\t0\t1\n1\t1\t0.5\t0\n".utf8)]
    case .safetensors:
      let file = try Fixtures.bytes("Tensors/stored.npz")
      let imported = try MaskImporter.read(file.span, as: .npz)
      let mask = try #require(imported.mask)
      let document = try MaskDocument(mask: mask, scores: imported.scores)
      return [
        try Fixtures.bytes("Tensors/layers.safetensors"),
        try MaskExporter.bytes(of: document, .both, as: .safetensors),
      ]
    case .json:
      return [
        Array(
          """
          {"format": "leank-mask", "version": 1, "layers": [{"kv_heads": 2, "head_dim": 4,
           "query_heads": 4, "rotary_width": 4, "pairing": "half"}], "mask": [[[0, 2], [1]]],
           "scores": {"kind": "leank.alpha", "dtype": "f16", "values": [[[1, 0.25, 0.5, 0], [0, 1, 0, 0]]]}}
          """.utf8)
      ]
    }
  }

  @Test(arguments: InterchangeFormat.allCases)
  func mutants(format: InterchangeFormat) throws {
    let seeds = try Self.seeds(format)
    let layer = try LayerGeometry(kvHeads: 1, headDim: 4)
    let geometry = format == .tsv ? [layer, layer] : nil
    var accepted = 0
    for round in 0..<10_000 {
      var mutator = ByteMutator(seed: UInt64(round) | 1 << 32)
      let bytes = mutator.mutant(of: seeds[round % seeds.count])
      let imported: ImportedMask
      do throws(InterchangeError) {
        imported = try MaskImporter.read(bytes.span, as: format, geometry: geometry)
      } catch {
        #expect((2...5).contains(error.failureClass.rawValue), "seed \(round): \(error)")
        continue
      }
      accepted += 1
      guard let mask = imported.mask, accepted % 8 == 0 else { continue }
      let document = try MaskDocument(mask: mask, scores: imported.scores)
      let part: MaskExporter.Part = imported.scores == nil ? .mask : .both
      let again = try MaskExporter.bytes(of: document, part, as: .safetensors)
      let reread = try MaskImporter.read(again.span, as: .safetensors, geometry: imported.layers)
      #expect(reread.mask == mask && reread.scores == imported.scores, "seed \(round)")
    }
    #expect(accepted > 0 && accepted < 10_000)
  }
}
