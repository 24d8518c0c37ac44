import Foundation
import LeanKCheckpoint
import LeanKMask
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// A checkpoint of `Fixtures/Reference`.
struct Reference: Sendable, CustomTestStringConvertible {
  /// A spelling of config.json.
  enum Dialect: String, CaseIterable, Sendable {
    case transformers4 = "config_v4.json"
    case transformers5 = "config.json"
  }

  let name: String
  var testDescription: String { name }

  static let all: [Reference] = {
    let entries =
      (try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("Reference"))) ?? []
    return entries.sorted().map(Reference.init(name:)).filter {
      FileManager.default.fileExists(atPath: $0.path("config_v4.json"))
    }
  }()

  static let llama = all.filter { $0.name.hasPrefix("llama_") }
  /// Families that norm queries and keys.
  static let normed = all.filter {
    [
      "qwen3", "qwen3_moe", "gemma3", "gemma3_text", "olmo2", "exaone4", "cohere", "stablelm_qkln",
    ].contains($0.name)
  }
  static let plain = all.filter { reference in !normed.contains { $0.name == reference.name } }
  static let gqa = Reference(name: "llama_gqa")
  static let sharded = Reference(name: "llama_bias_sharded")

  func path(_ file: String) -> String { Fixtures.path("Reference/\(name)/\(file)") }

  /// The checkpoint alone, as links into the fixture, in a directory of its own.
  func checkout(
    _ dialect: Dialect = .transformers5, in folder: TemporaryDirectory, as name: String = "dense"
  ) throws -> String {
    let directory = folder.path(name)
    let files = FileManager.default
    try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let others = [
      "config_v4.json", "config.json", "mask.npy", "mask.safetensors", "reference.safetensors",
      "scores.npy",
    ]
    for file in try files.contentsOfDirectory(atPath: path("")) where !others.contains(file) {
      try files.createSymbolicLink(
        atPath: directory + "/" + file, withDestinationPath: path(file))
    }
    try files.createSymbolicLink(
      atPath: directory + "/config.json", withDestinationPath: path(dialect.rawValue))
    return directory
  }

  /// The mask, with what a bare array says: KV heads and head_dim.
  func mask() throws -> ChannelMask {
    let file = try SafetensorsFile(path: path("mask.safetensors"))
    var layers: [LayerMask] = []
    while let tensor = file["layers.\(layers.count).mask"] {
      let array = try file.array(tensor)
      let width = tensor.shape[1]
      let heads = (0..<tensor.shape[0]).map { head in
        ChannelSet(
          width: width, channels: (0..<width).filter { array.bytes[head * width + $0] != 0 })
      }
      layers.append(
        try LayerMask(
          geometry: try LayerGeometry(kvHeads: tensor.shape[0], headDim: width), heads: heads))
    }
    return try ChannelMask(layers: layers)
  }

  /// Shape and CRC-32 of the tensors that a layout changes, as numpy makes them; nil where it is
  /// refused.
  func expected(_ layout: PruningLayout) throws -> [String: (shape: [Int], checksum: UInt32)]? {
    let document = try JSONDocument(try Fixtures.bytes("Reference/pruned.json"))
    guard let tensors = document.root[name]?[layout.rawValue], !tensors.isNull else { return nil }
    var result: [String: (shape: [Int], checksum: UInt32)] = [:]
    for (name, entry) in tensors.children {
      let parts = entry.children.map(\.value)
      result[name] = (
        parts[0].children.compactMap(\.value.integer), UInt32(parts[1].integer ?? -1)
      )
    }
    return result
  }
}

/// Content id that tests give their masks.
let testContentID = String(repeating: "0123456789abcdef", count: 4)
let testDigest = String(repeating: "fedcba9876543210", count: 4)

extension Conversion {
  /// A conversion of the checkpoint at `dense` with a stand-in for the mask's file.
  static func make(
    _ dense: String, _ mask: ChannelMask, _ layout: PruningLayout, to output: String
  ) throws -> Conversion {
    let source = try CheckpointDirectory(path: dense)
    let plan = try PruningPlan(source: source, mask: mask, layout: layout)
    return Conversion(
      source: source, plan: plan, output: output, mask: Array("mask".utf8),
      maskContentID: testContentID, deployment: .static)
  }
}

/// CRC-32 as zlib computes it.
func checksum(_ bytes: [UInt8]) -> UInt32 {
  var crc: UInt32 = 0xFFFF_FFFF
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
  }
  return ~crc
}
