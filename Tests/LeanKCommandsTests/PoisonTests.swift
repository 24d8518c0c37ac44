import Foundation
import LeanKCheckpoint
import LeanKCommands
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles
import TestSupport
import Testing

/// What `rows` removes must not matter: with not-a-number in all of it, a mask on the dense weights
/// gives the same logits.
@Suite("Poisoned rows")
struct PoisonTests {
  @Test(
    "neither side looks at the rows and biases that rows removes",
    arguments: FamilyTests.models.filter { !FamilyTests.normed.contains($0) })
  func poisonedRowsDoNotMatter(name: String) throws {
    let directory = try TemporaryDirectory()
    let model = try copyModel(name, to: directory)
    let poisoned = try poison(model, masks: Fixtures.path("Reference/\(name)/mask.safetensors"))
    #expect(poisoned > 0)
    let reference = Fixtures.path("Reference/\(name)/reference.safetensors")
    let saved = directory.path("logits.safetensors")
    let run = CommandRun([
      "verify", model, "--mask", Fixtures.path("Reference/\(name)/mask.npy"), "--tokens", reference,
      "--prompt-length", "24", "--mode", "static", "--tolerance", "1e-4", "--save-logits", saved,
    ])
    #expect(run.code == 0, "\(run.diagnostics)\(run.output)")
    let tolerance: Float = FamilyTests.bigLogits.contains(name) ? 1e-4 : 3e-5
    let expected = try floats("logits_masked", in: reference)
    for side in ["logits_masked", "logits_pruned"] {
      #expect(largestDifference(try floats(side, in: saved), expected) <= tolerance, "\(side)")
    }
    // The poison is really there: without the mask everything is lost.
    #expect(try floats("logits_dense", in: saved).contains { $0.isNaN })
  }

  /// Puts not-a-number into every row that `rows` would remove, and returns how many those are.
  private func poison(_ model: String, masks: String) throws -> Int {
    let checkpoint = try CheckpointDirectory(path: model)
    let plan = try PruningPlan(
      source: checkpoint, mask: try mask(masks, for: checkpoint), layout: .rows)
    var rows = 0
    for shard in plan.shards {
      let path = model + "/" + shard.name
      let file = try SafetensorsFile(path: path)
      let arrays = try shard.tensors.map { tensor in
        let array = try file.array(tensor.source)
        guard case .keep(let kept) = tensor.action else { return (tensor.source.name, array) }
        var bytes = array.bytes
        let stays = Set(kept.ranges.flatMap(Array.init))
        for row in 0..<tensor.source.rows where !stays.contains(row) {
          rows += 1
          // All bits set is not-a-number in every floating-point type.
          let width = tensor.source.rowBytes
          for index in row * width..<(row + 1) * width { bytes[index] = 0xFF }
        }
        return (
          tensor.source.name,
          TensorArray(scalar: array.scalar, shape: array.shape, bytes: bytes)
        )
      }
      try Data(encodeSafetensors(arrays)).write(to: URL(filePath: path))
    }
    return rows
  }

  private func mask(_ path: String, for checkpoint: CheckpointDirectory) throws -> ChannelMask {
    let file = try SafetensorsFile(path: path)
    let geometries = try checkpoint.describe().description.geometries
    let layers = try geometries.enumerated().map { index, geometry in
      let bits = try file.array(try #require(file["layers.\(index).mask"])).bytes
      let width = geometry.headDim
      return try LayerMask(
        geometry: geometry,
        heads: (0..<geometry.kvHeads).map { head in
          ChannelSet(
            width: width, channels: (0..<width).filter { bits[head * width + $0] != 0 })
        })
    }
    return try ChannelMask(layers: layers)
  }
}
