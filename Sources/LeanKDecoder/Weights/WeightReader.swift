import ByteIO
import TensorFiles

/// Reads tensors of a source as matrices and vectors, with their shapes checked.
struct WeightReader: Sendable {
  let source: any WeightSource

  /// Rows and columns of a tensor, its leading dimensions taken together; a vector is one row.
  func extent(of name: String) throws(DecoderError) -> (rows: Int, columns: Int) {
    guard let info = source.tensor(named: name) else { throw Self.missing(name) }
    guard let columns = info.shape.last else { return (1, 1) }
    guard let rows = info.shape.dropLast().checkedProduct() else {
      throw DecoderError(.tensorShape, "tensor \(quoted(name)) is larger than memory can be")
    }
    return (rows, columns)
  }

  /// The whole tensor, its last dimension as columns.
  func matrix(_ name: String) throws(DecoderError) -> WeightMatrix {
    try matrix(name, rows: 0..<extent(of: name).rows)
  }

  /// The given rows of a tensor.
  func matrix(_ name: String, rows: Range<Int>) throws(DecoderError) -> WeightMatrix {
    let (allRows, columns) = try extent(of: name)
    guard let info = source.tensor(named: name) else { throw Self.missing(name) }
    guard let element = ElementType(info.scalar) else {
      throw DecoderError.unreadable(name, info.scalar)
    }
    guard rows.lowerBound >= 0, rows.upperBound <= allRows else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(name)) has \(allRows) rows where rows up to \(rows.upperBound) are needed")
    }
    guard let count = rows.count.multiplied(by: columns),
      let byteCount = count.multiplied(by: element.byteWidth)
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

  /// The elements `range` of a tensor as f32.
  func elements(_ name: String, _ range: Range<Int>) throws(DecoderError) -> [Float] {
    let matrix = try matrix(name)
    let count = matrix.rows * matrix.columns
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(name)) has \(count) elements where \(range.upperBound) are needed")
    }
    return matrix.widened(range)
  }

  private static func missing(_ name: String) -> DecoderError {
    DecoderError(.missingTensor, "the checkpoint has no tensor \(quoted(name))")
  }
}
