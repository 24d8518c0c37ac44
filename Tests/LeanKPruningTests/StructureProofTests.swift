import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles
import TestSupport
import Testing

/// A dense checkpoint and its pruned one, whose bytes a test may change.
private struct Pair {
  let folder: TemporaryDirectory
  let dense: CheckpointDirectory
  let mask: ChannelMask
  let layout: PruningLayout

  init(_ reference: Reference, _ layout: PruningLayout = .rows) throws {
    folder = try TemporaryDirectory()
    let path = try reference.checkout(in: folder)
    dense = try CheckpointDirectory(path: path)
    mask = try reference.mask()
    self.layout = layout
    _ = try Conversion.make(path, mask, layout, to: folder.path("out")).run()
  }

  func pruned() throws -> CheckpointDirectory { try CheckpointDirectory(path: folder.path("out")) }

  func failures(contentID: String = testContentID) throws -> [String] {
    try StructureProof(
      dense: dense, pruned: try pruned(), mask: mask, maskContentID: contentID
    ).failures.map(\.description)
  }

  /// A layer and head of which the closure keeps something but not all, and the layer's closure.
  func partlyKeptHead() throws -> (layer: Int, head: Int, closure: [ChannelSet]) {
    let layers = try dense.describe().description.adopt(mask).layers
    for (layer, masked) in layers.enumerated() {
      let closure = masked.closure
      if let head = closure.firstIndex(where: { !$0.isEmpty && $0.count < $0.width }) {
        return (layer, head, closure)
      }
    }
    throw CancellationError()
  }

  /// Changes the bytes of one tensor in place.
  func edit(_ tensor: String, _ change: (inout [UInt8], TensorInfo) -> Void) throws {
    let (file, info) = try #require(try pruned().tensor(tensor))
    var bytes = try file.array(info).bytes
    change(&bytes, info)
    let handle = try FileHandle(forWritingTo: URL(filePath: file.path))
    try handle.seek(toOffset: UInt64(file.header.dataStart + info.range.lowerBound))
    try handle.write(contentsOf: bytes)
    try handle.close()
  }

  func editText(_ file: String, _ change: (String) -> String) throws {
    let url = URL(filePath: folder.path("out/" + file))
    let text = try String(contentsOf: url, encoding: .utf8)
    try change(text).write(to: url, atomically: true, encoding: .utf8)
  }
}

@Suite struct StructureProofTests {
  /// One flipped bit anywhere is found, in its tensor and row.
  @Test(arguments: [
    ("model.layers.1.self_attn.q_proj.weight", 3), ("model.layers.1.self_attn.v_proj.weight", 5),
    ("model.layers.2.mlp.down_proj.weight", 7), ("model.norm.weight", 0),
    ("model.embed_tokens.weight", 200),
  ])
  func findsAFlippedBit(_ tensor: String, _ row: Int) throws {
    let pair = try Pair(.gqa)
    try pair.edit(tensor) { bytes, info in bytes[row * info.rowBytes + 1] ^= 0x10 }
    let failures = try pair.failures()
    #expect(failures.count == 1)
    #expect(failures.first?.hasPrefix(tensor) == true)
    let place = tensor == "model.norm.weight" ? "element \(row)" : "row \(row)"
    #expect(failures.first?.contains(place) == true)
  }

  @Test func namesHeadAndChannel() throws {
    let pair = try Pair(.gqa)
    let description = try pair.dense.describe().description
    let attention = try description.pruned(by: pair.mask).layers[1].attention
    let closure = try description.adopt(pair.mask).layers[1].closure
    let head = try #require(closure.firstIndex { !$0.isEmpty })
    let row = attention.key.heads[head].lowerBound + 1
    try pair.edit(attention.key.weight) { bytes, info in bytes[row * info.rowBytes] ^= 1 }
    #expect(
      try pair.failures() == [
        "\(attention.key.weight): KV head \(head), channel \(closure[head].channels[1]) (row \(row)): "
          + "bytes differ"
      ])
  }

  @Test func findsSwappedRows() throws {
    let pair = try Pair(.gqa)
    try pair.edit("model.layers.0.self_attn.q_proj.weight") { bytes, info in
      for index in 0..<info.rowBytes { bytes.swapAt(index, info.rowBytes + index) }
    }
    #expect(try pair.failures().count == 2)
  }

  /// A row from outside the closure in place of one inside.
  @Test func findsAForeignRow() throws {
    let pair = try Pair(.gqa)
    let (layer, head, closure) = try pair.partlyKeptHead()
    let name = "model.layers.\(layer).self_attn.k_proj.weight"
    let (file, source) = try #require(pair.dense.tensor(name))
    let dense = try file.array(source).bytes
    let outside = try #require((0..<16).first { !closure[head][$0] }) + head * 16
    let row = closure[..<head].reduce(0) { $0 + $1.count }
    try pair.edit(name) { bytes, info in
      for index in 0..<info.rowBytes {
        bytes[row * info.rowBytes + index] = dense[outside * info.rowBytes + index]
      }
    }
    let failures = try pair.failures()
    #expect(failures.count == 1)
    #expect(failures.first?.contains("(row \(row))") == true)
  }

  @Test func findsWhatIsNotZero() throws {
    let pair = try Pair(.gqa, .zeroed)
    #expect(try pair.failures() == [])
    let (layer, head, closure) = try pair.partlyKeptHead()
    let name = "model.layers.\(layer).self_attn.k_proj.weight"
    let channel = try #require((0..<16).first { !closure[head][$0] })
    let row = head * 16 + channel
    try pair.edit(name) { bytes, info in bytes[row * info.rowBytes] = 1 }
    #expect(
      try pair.failures() == [
        "\(name): KV head \(head), channel \(channel) (row \(row)): bytes differ"
      ])
  }

  @Test func listsRowsUpToALimit() throws {
    let pair = try Pair(.gqa)
    try pair.edit("lm_head.weight") { bytes, _ in
      for index in bytes.indices { bytes[index] ^= 0xFF }
    }
    let failures = try pair.failures()
    #expect(failures.count == 33)
    #expect(failures.last == "lm_head.weight: 224 more rows differ")
  }

  @Test func findsAnotherMask() throws {
    let pair = try Pair(.gqa)
    let failures = try pair.failures(contentID: testDigest)
    #expect(failures.count == 1)
    #expect(failures.first?.contains("config.json names the mask") == true)
  }

  @Test func findsAnotherSource() throws {
    let pair = try Pair(.gqa)
    try pair.editText("config.json") {
      $0.replacing(/"source_digest": "[0-9a-f]+"/, with: "\"source_digest\": \"\(testDigest)\"")
    }
    let failures = try pair.failures()
    #expect(failures.count == 1)
    #expect(failures.first?.contains("names the source \(testDigest)") == true)
  }

  @Test func findsAChangedConfiguration() throws {
    let pair = try Pair(.gqa)
    try pair.editText("config.json") {
      $0.replacing("\"rms_norm_eps\": 1e-06", with: "\"rms_norm_eps\": 1e-05")
    }
    #expect(
      try pair.failures() == [
        "config.json differs from the dense one in more than the object leank"
      ])
  }

  @Test func findsMissingExtraAndReshapedTensors() throws {
    let pair = try Pair(.gqa)
    let file = try SafetensorsFile(path: pair.folder.path("out/model.safetensors"))
    var arrays = try file.header.tensors.map { ($0.name, try file.array($0)) }
    let moved = arrays.removeFirst()
    arrays.append(("extra", moved.1))
    let last = arrays.firstIndex { $0.0 == "model.layers.0.self_attn.k_proj.weight" } ?? 0
    let old = arrays[last].1
    arrays[last].1 = TensorArray(
      scalar: old.scalar, shape: [old.shape[1], old.shape[0]], bytes: old.bytes)
    try pair.folder.write(encodeSafetensors(arrays), to: "out/model.safetensors")
    let failures = try pair.failures()
    #expect(failures.count == 3)
    #expect(failures.contains("\(moved.0): missing"))
    #expect(failures.contains("extra: not in the dense checkpoint"))
    #expect(failures.contains { $0.contains("k_proj.weight: expected BF16 [") })
  }

  @Test func denseCheckpointsAreNotPrunedOnes() throws {
    let pair = try Pair(.gqa)
    #expect(throws: PruningError(.notPruned, "")) {
      try StructureProof(
        dense: pair.dense, pruned: pair.dense, mask: pair.mask, maskContentID: testContentID)
    }
  }
}
