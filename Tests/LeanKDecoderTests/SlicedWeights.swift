import LeanKDecoder
import LeanKMask
import LeanKModel
import TensorFiles

/// A checkpoint with only some rows of some tensors: what layout `rows` writes, made here by
/// gathering rows, without `convert`.
struct SlicedWeights: WeightSource {
  private let dense: any WeightSource
  /// Rows that are left, by tensor.
  private let rows: [String: [Int]]

  /// The model that is left of `model` when the rows of Q and K outside the closure of `mask` go.
  static func slice(_ model: DecoderModel, by mask: ChannelMask) -> DecoderModel {
    var description = model.description
    var removed: [String: Set<Int>] = [:]
    for (layer, own) in mask.layers.enumerated() {
      let attention = description.layers[layer].attention
      for (heads, group) in [(attention.key, 1), (attention.query, attention.group)] {
        for (head, range) in heads.heads.enumerated() {
          let closure = own.closure[head / group]
          for (channel, row) in range.enumerated() where !closure[channel] {
            removed[heads.weight, default: []].insert(row)
            if let bias = heads.bias { removed[bias, default: []].insert(row) }
          }
        }
      }
      func renumber(_ heads: inout HeadRows) {
        let gone = removed[heads.weight] ?? []
        heads.heads = heads.heads.map { range in
          let first = range.lowerBound - gone.count { $0 < range.lowerBound }
          return first..<first + range.count { !gone.contains($0) }
        }
      }
      renumber(&description.layers[layer].attention.query)
      renumber(&description.layers[layer].attention.key)
      renumber(&description.layers[layer].attention.value)
    }
    let rows = removed.map { name, gone in
      let count = model.weights.tensor(named: name)?.shape.first ?? 0
      return (name, (0..<count).filter { !gone.contains($0) })
    }
    return DecoderModel(
      description,
      weights: SlicedWeights(
        dense: model.weights, rows: Dictionary(uniqueKeysWithValues: rows)))
  }

  func tensor(named name: String) -> WeightInfo? {
    guard let info = dense.tensor(named: name), let rows = rows[name] else {
      return dense.tensor(named: name)
    }
    return WeightInfo(scalar: info.scalar, shape: [rows.count] + info.shape.dropFirst())
  }

  func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) {
    guard let rows = rows[name], let info = dense.tensor(named: name) else {
      return try unsafe dense.read(name, from: first, into: buffer)
    }
    let columns = info.shape.dropFirst().reduce(1, *)
    let width = columns * (info.scalar.byteWidth ?? 0)
    for index in 0..<(width == 0 ? 0 : buffer.count / width) {
      let part = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[index * width..<(index + 1) * width])
      try unsafe dense.read(name, from: rows[first / columns + index] * columns, into: part)
    }
  }
}
