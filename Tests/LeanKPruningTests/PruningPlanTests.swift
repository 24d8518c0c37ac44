import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles
import TestSupport
import Testing

@Suite struct PruningPlanTests {
  private let folder: TemporaryDirectory
  private let mask: ChannelMask

  init() throws {
    folder = try TemporaryDirectory()
    mask = try Reference.gqa.mask()
  }

  /// The llama checkpoint with further tensors, and its weights changed on the way.
  private func checkpoint(
    adding extra: [(String, TensorArray)],
    _ change: (String, TensorArray) -> TensorArray = { $1 }
  ) throws -> CheckpointDirectory {
    let path = try Reference.gqa.checkout(in: folder, as: UUID().uuidString)
    let file = try SafetensorsFile(path: path + "/model.safetensors")
    let arrays = try file.header.tensors.map { tensor in
      (tensor.name, change(tensor.name, try file.array(tensor)))
    }
    try FileManager.default.removeItem(atPath: path + "/model.safetensors")
    let bytes = encodeSafetensors(arrays + extra)
    try Data(bytes).write(to: URL(filePath: path + "/model.safetensors"))
    return try CheckpointDirectory(path: path)
  }

  private func isKeyOrQuery(_ name: String) -> Bool {
    name.contains("q_proj") || name.contains("k_proj")
  }

  /// K and Q as FP8, one byte an element.
  private func narrowed(_ name: String, _ array: TensorArray) -> TensorArray {
    guard isKeyOrQuery(name) else { return array }
    let bytes = (0..<array.count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    return TensorArray(scalar: .f8e4m3, shape: array.shape, bytes: bytes)
  }

  private func scales(_ name: String, shape: (Int) -> [Int]) -> [(String, TensorArray)] {
    (0..<3).flatMap { layer in
      [("q_proj", 64), ("k_proj", 32)].map { projection, rows in
        let shape = shape(rows)
        let count = shape.reduce(1, *)
        let bytes: [UInt8] = (0..<count).flatMap { index -> [UInt8] in
          [UInt8(index), 0, 0x80, 0x3F]
        }
        return (
          "model.layers.\(layer).self_attn.\(projection).\(name)",
          TensorArray(scalar: .f32, shape: shape, bytes: bytes)
        )
      }
    }
  }

  @Test func rowScalesAreSlicedWithTheirRows() throws {
    let source = try checkpoint(
      adding: scales("weight_scale") { [$0, 1] } + scales("input_scale") { _ in [1] }, narrowed)
    let conversion = try Conversion.make(
      source.path, mask, .rows, to: folder.path("out"))
    _ = try conversion.run()
    let pruned = try CheckpointDirectory(path: folder.path("out"))
    let closure = try source.describe().description.adopt(mask).layers[0].closure
    let kept = closure.enumerated().flatMap { head, set in set.channels.map { head * 16 + $0 } }
    let name = "model.layers.0.self_attn.k_proj."
    let (file, scale) = try #require(pruned.tensor(name + "weight_scale"))
    #expect(scale.shape == [kept.count, 1])
    let bytes = try file.array(scale).bytes
    #expect(stride(from: 0, to: bytes.count, by: 4).map { Int(bytes[$0]) } == kept)
    #expect(pruned.tensor(name + "weight")?.info.shape == [kept.count, 64])
    #expect(pruned.tensor(name + "input_scale")?.info.shape == [1])
    let proof = try StructureProof(
      dense: source, pruned: pruned, mask: mask, maskContentID: testContentID)
    #expect(proof.failures == [])
  }

  @Test func tensorScalesAreCopied() throws {
    let source = try checkpoint(adding: scales("weight_scale") { _ in [] }, narrowed)
    let plan = try PruningPlan(source: source, mask: mask, layout: .rows)
    let scale = plan.shards[0].tensors.first { $0.source.name.hasSuffix("q_proj.weight_scale") }
    #expect(scale?.action == .copy)
  }

  @Test(arguments: ["weight_scale_inv", "weight_zero_point", "scale", "lora_A.weight", "bias"])
  func unknownCompanionsAreRefused(_ name: String) throws {
    let source = try checkpoint(adding: scales(name) { [$0] }, narrowed)
    for layout in [PruningLayout.rows, .zeroed] {
      let error = #expect(throws: PruningError.self) {
        try PruningPlan(source: source, mask: mask, layout: layout)
      }
      #expect(error?.code == .companionTensor)
      #expect(error?.failureClass == .unsupported)
      #expect(error?.description.contains("k_proj." + name) == true)
    }
    #expect(throws: Never.self) {
      try PruningPlan(source: source, mask: mask, layout: .cache)
    }
  }

  @Test func scalesOfOtherShapesAreRefused() throws {
    let source = try checkpoint(adding: scales("weight_scale") { [$0 / 2, 2] }, narrowed)
    #expect(throws: PruningError(.companionTensor, "")) {
      try PruningPlan(source: source, mask: mask, layout: .rows)
    }
  }

  @Test func scalesOfPlainWeightsAreRefused() throws {
    let source = try checkpoint(adding: scales("weight_scale") { [$0, 1] })
    #expect(throws: PruningError(.companionTensor, "")) {
      try PruningPlan(source: source, mask: mask, layout: .rows)
    }
  }

  @Test func packedWeightsAreRefused() throws {
    let source = try checkpoint(adding: []) { name, array in
      guard isKeyOrQuery(name) else { return array }
      return TensorArray(
        scalar: .f4, shape: array.shape, bytes: [UInt8](repeating: 0x21, count: array.count / 2))
    }
    #expect(throws: PruningError(.companionTensor, "")) {
      try PruningPlan(source: source, mask: mask, layout: .rows)
    }
  }

  /// GPTQ has no `weight` at all; `cache` takes it as it is, `rows` says why it cannot.
  @Test func packedProjectionsConvertAsCacheOnly() throws {
    let source = try checkpoint(adding: [])
    let path = source.path
    let text = try String(contentsOfFile: path + "/config.json", encoding: .utf8)
    try FileManager.default.removeItem(atPath: path + "/config.json")
    try text.replacing("{\n", with: "{\n \"quantization_config\": {},\n", maxReplacements: 1)
      .write(toFile: path + "/config.json", atomically: true, encoding: .utf8)
    let file = try SafetensorsFile(path: path + "/model.safetensors")
    let arrays = try file.header.tensors.map { tensor in
      (
        isKeyOrQuery(tensor.name)
          ? tensor.name.replacing(".weight", with: ".qweight") : tensor.name,
        try file.array(tensor)
      )
    }
    try Data(encodeSafetensors(arrays)).write(to: URL(filePath: path + "/model.safetensors"))
    let quantised = try CheckpointDirectory(path: path)
    #expect(throws: Never.self) {
      try PruningPlan(source: quantised, mask: mask, layout: .cache)
    }
    let error = #expect(throws: PruningError.self) {
      try PruningPlan(source: quantised, mask: mask, layout: .rows)
    }
    #expect(error == PruningError(CheckpointError(.quantised, "")))
    #expect(error?.description.contains("the checkpoint is quantised") == true)
  }

  @Test func figures() throws {
    let source = try checkpoint(
      adding: [("mtp.weight", TensorArray(scalar: .u8, shape: [1], bytes: [1]))])
    let plan = try PruningPlan(source: source, mask: mask, layout: .rows)
    // 3 layers of 2 heads of 16 channels, bf16.
    #expect(plan.cachePerToken.keysDense == 3 * 2 * 16 * 2)
    #expect(plan.cachePerToken.values == 3 * 2 * 16 * 2)
    #expect(plan.cachePerToken.keysPruned == mask.keptCount * 2)
    // A channel outside the closure is one row of K and two of Q, 64 elements each.
    let closure = plan.mask.layers.flatMap(\.closure).reduce(0) { $0 + $1.count }
    let removed = 3 * 2 * 16 - closure
    let header = plan.shards[0].header.dataLength
    let dense = source.shards[0].file.header.dataLength
    #expect(dense - header == removed * 3 * 64 * 2)
    #expect(plan.bytesOut < plan.bytesIn)
    #expect(
      plan.warnings == [
        "1 tensors outside the decoder of a llama are copied as they are, the first is \"mtp.weight\""
      ])
  }
}
