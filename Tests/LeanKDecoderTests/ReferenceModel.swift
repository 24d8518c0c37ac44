import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKDecoder
import LeanKMask
import LeanKModel
import TensorFiles
import TestSupport

/// A checkpoint of `Fixtures/Reference` with what transformers computed from it.
struct ReferenceModel {
  let model: DecoderModel
  let mask: ChannelMask
  private let reference: SafetensorsFile

  /// Names of the reference models that are there.
  static let names: [String] = {
    let root = Fixtures.path("Reference")
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    return entries.filter {
      FileManager.default.fileExists(atPath: "\(root)/\($0)/reference.safetensors")
    }.sorted()
  }()

  init(_ name: String) throws {
    let path = Fixtures.path("Reference/\(name)")
    model = try Self.open(path)
    let masks = try SafetensorsFile(path: path + "/mask.safetensors")
    mask = try Self.mask(model.description) { layer in
      guard let info = masks["layers.\(layer).mask"] else { throw FixtureError("no mask \(layer)") }
      return try masks.array(info).bytes.map { $0 != 0 }
    }
    reference = try SafetensorsFile(path: path + "/reference.safetensors")
  }

  static func open(_ path: String) throws -> DecoderModel {
    let directory = try CheckpointDirectory(path: path)
    return DecoderModel(try directory.describe().description, weights: CheckpointWeights(directory))
  }

  /// A mask from one flat list of booleans a layer.
  static func mask(
    _ description: ModelDescription, _ layer: (Int) throws -> [Bool]
  ) throws -> ChannelMask {
    var layers: [LayerMask] = []
    for (index, one) in description.layers.enumerated() {
      let attention = one.attention
      let geometry = try LayerGeometry(
        kvHeads: attention.kvHeads, headDim: attention.headDim,
        attention: AttentionGeometry(
          queryHeads: attention.queryHeads, rotary: attention.rotary?.geometry ?? .none))
      let bits = try layer(index)
      layers.append(
        try LayerMask(
          geometry: geometry,
          heads: (0..<attention.kvHeads).map { head in
            ChannelSet(
              width: attention.headDim,
              channels: (0..<attention.headDim).filter { bits[head * attention.headDim + $0] })
          }))
    }
    return try ChannelMask(layers: layers)
  }

  func has(_ name: String) -> Bool { reference[name] != nil }

  /// A reference array of f32, [rows, columns].
  func logits(_ name: String) throws -> Matrix { try Self.matrix(reference, name) }

  /// A reference array of integers.
  func tokens(_ name: String) throws -> [Int32] { try Self.tokens(reference, name) }

  static func matrix(_ file: SafetensorsFile, _ name: String) throws -> Matrix {
    guard let info = file[name], info.scalar == .f32, info.shape.count == 2 else {
      throw FixtureError("no F32 matrix \(name)")
    }
    let bytes = try file.array(info).bytes
    let values = stride(from: 0, to: bytes.count, by: 4).map { index in
      Float(bitPattern: UInt32(littleEndian: bytes, index))
    }
    return Matrix(rows: info.shape[0], columns: info.shape[1], values: values)
  }

  static func tokens(_ file: SafetensorsFile, _ name: String) throws -> [Int32] {
    guard let info = file[name], info.scalar == .i64 else { throw FixtureError("no I64 \(name)") }
    let bytes = try file.array(info).bytes
    return stride(from: 0, to: bytes.count, by: 8).map { index in
      Int32(bitPattern: UInt32(littleEndian: bytes, index))
    }
  }

  /// Whether Q and K pass a norm, so that no row of theirs can go.
  var hasQueryKeyNorm: Bool {
    model.description.layers.contains { $0.attention.queryKeyNorm != nil }
  }

  /// Largest difference from transformers that f32 noise explains: logits of three models are large.
  static func tolerance(_ name: String) -> Float {
    ["llama_tied_headdim", "qwen2_yarn", "smollm3"].contains(name) ? 1e-4 : 3e-5
  }
}

struct FixtureError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

extension UInt32 {
  init(littleEndian bytes: [UInt8], _ index: Int) {
    self = (0..<4).reduce(0) { $0 | UInt32(bytes[index + $1]) << UInt32(8 * $1) }
  }
}
