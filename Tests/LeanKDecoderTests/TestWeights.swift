import Foundation
import LeanKDecoder
import LeanKMask
import LeanKModel
import TensorFiles
import TestSupport

/// Tensors in memory, in front of another source.
struct MemoryWeights: WeightSource {
  let tensors: [String: TensorArray]
  let others: any WeightSource

  func tensor(named name: String) -> WeightInfo? {
    tensors[name].map { WeightInfo(scalar: $0.scalar, shape: $0.shape) }
      ?? others.tensor(named: name)
  }

  func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) {
    guard let tensor = tensors[name] else {
      return try unsafe others.read(name, from: first, into: buffer)
    }
    let start = first * (tensor.scalar.byteWidth ?? 0)
    unsafe buffer.copyBytes(from: tensor.bytes[start..<start + buffer.count])
  }
}

/// A checkpoint with not-a-number in every row of Q and K (and their biases) outside the closure.
enum PoisonedWeights {
  static func poison(_ model: DecoderModel, outside mask: ChannelMask) -> DecoderModel {
    var rows: [String: Set<Int>] = [:]
    for (layer, own) in mask.layers.enumerated() {
      let attention = model.description.layers[layer].attention
      for (heads, group) in [(attention.key, 1), (attention.query, attention.group)] {
        for (head, range) in heads.heads.enumerated() {
          for (channel, row) in range.enumerated() where !own.closure[head / group][channel] {
            rows[heads.weight, default: []].insert(row)
            if let bias = heads.bias { rows[bias, default: []].insert(row) }
          }
        }
      }
    }
    var tensors: [String: TensorArray] = [:]
    for (name, poisoned) in rows {
      guard let info = model.weights.tensor(named: name), let width = info.scalar.byteWidth,
        let count = info.shape.first
      else { continue }
      let columns = info.shape.dropFirst().reduce(1, *)
      var bytes = [UInt8](repeating: 0, count: count * columns * width)
      unsafe bytes.withUnsafeMutableBytes { buffer in
        try? unsafe model.weights.read(name, from: 0, into: buffer)
      }
      // All bits set is not-a-number in f32, f16 and bf16.
      for row in poisoned {
        for byte in row * columns * width..<(row + 1) * columns * width { bytes[byte] = 0xFF }
      }
      tensors[name] = TensorArray(scalar: info.scalar, shape: info.shape, bytes: bytes)
    }
    return DecoderModel(
      model.description, weights: MemoryWeights(tensors: tensors, others: model.weights))
  }
}

extension TemporaryDirectory {
  /// Cuts a file off without making a new one.
  func truncate(_ name: String, to size: Int) throws {
    let handle = try FileHandle(forWritingTo: URL(filePath: path(name)))
    try handle.truncate(atOffset: UInt64(size))
    try handle.close()
  }
}

/// A checkpoint with one element of one f32 tensor changed: its lowest mantissa bits flipped, or set to
/// `bits`.
struct FlippedWeights: WeightSource {
  let source: any WeightSource
  let name: String
  let element: Int
  var bits: UInt32?

  func tensor(named name: String) -> WeightInfo? { source.tensor(named: name) }

  func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) {
    try unsafe source.read(name, from: first, into: buffer)
    let place = 4 * (element - first)
    guard name == self.name, place >= 0, place + 4 <= buffer.count else { return }
    let old = unsafe buffer.loadUnaligned(fromByteOffset: place, as: UInt32.self)
    unsafe buffer.storeBytes(of: bits ?? old ^ 0x1000, toByteOffset: place, as: UInt32.self)
  }
}
