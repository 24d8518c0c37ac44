import ByteIO
import LeanKModel
import TensorFiles

/// The weights of one checkpoint as the decoder goes through its layers: each is read when first
/// used and dropped when its layer is done, or stays as long as there is room for it.
final class WeightStore {
  let source: any WeightSource
  /// Bytes that may stay in memory between layers.
  private let residentLimit: Int
  private var residentBytes = 0
  private var resident: [Key: WeightMatrix] = [:]
  private var current: [Key: WeightMatrix] = [:]

  private struct Key: Hashable {
    let name: String
    let rows: Range<Int>
  }

  init(source: any WeightSource, residentLimit: Int) {
    self.source = source
    self.residentLimit = residentLimit
  }

  /// The whole tensor, its last dimension as columns; a vector is one row.
  func matrix(_ name: String) throws(DecoderError) -> WeightMatrix {
    let (rows, _) = try extent(of: name)
    return try matrix(name, rows: 0..<rows)
  }

  /// The given rows of a tensor, its leading dimensions taken together.
  func matrix(_ name: String, rows: Range<Int>) throws(DecoderError) -> WeightMatrix {
    let key = Key(name: name, rows: rows)
    if let found = resident[key] ?? current[key] { return found }
    let loaded = try load(name, rows: rows)
    if residentBytes + loaded.bytes.count <= residentLimit {
      residentBytes += loaded.bytes.count
      resident[key] = loaded
    } else {
      current[key] = loaded
    }
    return loaded
  }

  /// The given rows, read for this one use.
  func load(_ name: String, rows: Range<Int>) throws(DecoderError) -> WeightMatrix {
    let (allRows, columns) = try extent(of: name)
    guard let info = source.tensor(named: name) else { throw Self.missing(name) }
    guard let element = Kernels.Element(info.scalar) else {
      throw DecoderError.unreadable(name, info.scalar)
    }
    guard rows.lowerBound >= 0, rows.upperBound <= allRows else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(name)) has \(allRows) rows where rows up to \(rows.upperBound) are needed")
    }
    guard let count = rows.count.multiplied(by: columns),
      let byteCount = count.multiplied(by: element.width)
    else { throw DecoderError(.tensorShape, "tensor \(quoted(name)) is larger than memory can be") }
    let bytes = try unsafe AlignedBytes(count: byteCount) { buffer throws(DecoderError) in
      try unsafe source.read(name, from: rows.lowerBound * columns, into: buffer)
    }
    return WeightMatrix(
      name: name, element: element, rows: rows.count, columns: columns, bytes: bytes)
  }

  /// All elements of a tensor as f32; fails unless there are `count` of them.
  func vector(_ name: String, count: Int) throws(DecoderError) -> [Float] {
    let matrix = try matrix(name)
    guard matrix.rows * matrix.columns == count else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(name)) has \(matrix.rows * matrix.columns) elements where \(count) are needed"
      )
    }
    return matrix.widened(0..<count)
  }

  /// A bias, which may be absent.
  func bias(_ name: String?, _ range: Range<Int>? = nil) throws(DecoderError) -> [Float]? {
    guard let name else { return nil }
    let matrix = try matrix(name)
    let count = matrix.rows * matrix.columns
    let range = range ?? 0..<count
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(name)) has \(count) elements where \(range.upperBound) are needed")
    }
    return matrix.widened(range)
  }

  /// Rows and columns of a tensor; a vector is one row.
  func extent(of name: String) throws(DecoderError) -> (rows: Int, columns: Int) {
    guard let info = source.tensor(named: name) else { throw Self.missing(name) }
    guard let columns = info.shape.last else { return (1, 1) }
    guard let rows = info.shape.dropLast().checkedProduct() else {
      throw DecoderError(.tensorShape, "tensor \(quoted(name)) is larger than memory can be")
    }
    return (rows, columns)
  }

  /// Announces the weights of a layer that comes next, unless they are in memory.
  func prefetch(_ layer: LayerDescription) {
    let known = Set(resident.keys.map(\.name))
    source.willRead(layer.weightNames.filter { !known.contains($0) }.sorted())
  }

  /// Drops what was read for the layer and has no room to stay.
  func endLayer() { current.removeAll(keepingCapacity: true) }

  private static func missing(_ name: String) -> DecoderError {
    DecoderError(.missingTensor, "the checkpoint has no tensor \(quoted(name))")
  }
}
