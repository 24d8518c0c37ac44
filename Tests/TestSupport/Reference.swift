import Foundation
public import LeanKMask
import TensorFiles
public import Testing

/// A checkpoint of `Fixtures/Reference`.
public struct Reference: Sendable, CustomTestStringConvertible {
  /// A spelling of config.json.
  public enum Dialect: String, CaseIterable, Sendable {
    case transformers4 = "config_v4.json"
    case transformers5 = "config.json"
  }

  public let name: String
  public var testDescription: String { name }

  public init(name: String) { self.name = name }

  public static let all: [Reference] = {
    let entries =
      (try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("Reference"))) ?? []
    return entries.sorted().map(Reference.init(name:)).filter {
      FileManager.default.fileExists(atPath: $0.path("config_v4.json"))
    }
  }()

  public static let llama = all.filter { $0.name.hasPrefix("llama_") }
  /// Families that norm queries and keys.
  public static let normed = all.filter {
    [
      "qwen3", "qwen3_moe", "gemma3", "gemma3_text", "olmo2", "exaone4", "cohere", "stablelm_qkln",
    ].contains($0.name)
  }
  public static let plain = all.filter { reference in !normed.contains { $0.name == reference.name }
  }
  public static let gqa = Reference(name: "llama_gqa")
  public static let sharded = Reference(name: "llama_bias_sharded")

  public func path(_ file: String) -> String { Fixtures.path("Reference/\(name)/\(file)") }

  /// The checkpoint alone, as links into the fixture, in a directory of its own.
  public func checkout(
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
  public func mask() throws -> ChannelMask {
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
}

/// Content id that tests give their masks.
public let testContentID = String(repeating: "0123456789abcdef", count: 4)
public let testDigest = String(repeating: "fedcba9876543210", count: 4)
