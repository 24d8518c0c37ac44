import ByteIO
import COpenBLAS

/// Products of activations with weights. The only importer of OpenBLAS.
///
/// A product is cut into tiles of weight rows; each is widened to f32 and multiplied by one thread.
/// Every element of a result is summed in one fixed order, whatever rows, tokens and threads are
/// beside it. That, and its speed where OpenBLAS does not know the processor, is why weights go
/// through our own loops; OpenBLAS serves the attention of the dense side.
struct MatrixMultiply: Sendable {
  let threads: Int

  /// Up to this many tokens, weights are read once and widened in registers.
  private static let fewTokens = 8
  /// Rows of one widened tile: divisible by those that a core multiplies at once, small enough for
  /// its own cache.
  private static let tileRows = 96

  /// OpenBLAS runs in the calling thread, ours are the threads.
  private static let singleThreaded: Void = openblas_set_num_threads(1)

  init(threads: Int) {
    self.threads = max(1, threads)
    Self.singleThreaded
  }

  /// `x Wᵀ` for the given rows of W, in their order: [x.rows, sum of the ranges' lengths].
  func product(_ x: Matrix, _ weight: WeightMatrix, rows ranges: [Range<Int>]) -> Matrix {
    precondition(weight.columns == x.columns)
    let width = ranges.reduce(0) { $0 + $1.count }
    let few = x.rows <= Self.fewTokens
    let step = few ? max(64, 8192 / max(1, x.columns)) : Self.tileRows
    var tiles: [Tile] = []
    var column = 0
    for range in ranges {
      for first in stride(from: range.lowerBound, to: range.upperBound, by: step) {
        let last = min(first + step, range.upperBound)
        tiles.append(Tile(rows: first..<last, column: column))
        column += last - first
      }
    }
    return few
      ? directly(x, weight, tiles, width) : throughTiles(x, weight, tiles, width)
  }

  /// `x W` for a W stored [in, out].
  func productUntransposed(_ x: Matrix, _ weight: WeightMatrix) -> Matrix {
    precondition(weight.rows == x.columns)
    let columns = weight.columns
    let step = 512
    let blocks = (columns + step - 1) / step
    let parts = concurrentMap(blocks, threads: threads) { block in
      let first = block * step
      let width = min(step, columns - first)
      var part = [Float](repeating: 0, count: x.rows * width)
      let skipped = first * weight.element.width
      weight.bytes.withSpan { bytes in
        Kernels.best.addRows(
          into: &part, stride: width, x.values.span, .init(x.rows, width: x.columns),
          bytes.extracting(droppingFirst: skipped),
          .init(weight.rows, width: width, stride: columns), weight.element)
      }
      return part
    }
    return assemble(parts, rows: x.rows, columns: columns)
  }

  /// `out = a bᵀ` for f32 rows: out[i * stride + j] = a[i] . b[j].
  func scores(
    into out: inout [Float], stride: Int, _ a: Span<Float>, _ aRows: Kernels.Rows, _ b: Span<Float>,
    _ bRows: Kernels.Rows
  ) {
    precondition(aRows.width == bRows.width && aRows.extent <= a.count && bRows.extent <= b.count)
    guard aRows.count > 0, bRows.count > 0 else { return }
    precondition(stride >= bRows.count && (aRows.count - 1) * stride + bRows.count <= out.count)
    unsafe out.withUnsafeMutableBufferPointer { out in
      unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in
          unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(aRows.count), blasint(bRows.count),
            blasint(aRows.width), 1, a.baseAddress, blasint(aRows.stride), b.baseAddress,
            blasint(bRows.stride), 0, out.baseAddress, blasint(stride))
        }
      }
    }
  }

  /// `a b` for f32 rows: [aRows.count, bRows.width].
  func weightedSum(
    _ a: Span<Float>, _ aRows: Kernels.Rows, _ b: Span<Float>, _ bRows: Kernels.Rows
  ) -> [Float] {
    precondition(aRows.width == bRows.count && aRows.extent <= a.count && bRows.extent <= b.count)
    let count = aRows.count * bRows.width
    guard count > 0, bRows.count > 0 else { return [Float](repeating: 0, count: count) }
    return unsafe [Float](unsafeUninitializedCapacity: count) { out, initialized in
      unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in
          unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(aRows.count), blasint(bRows.width),
            blasint(aRows.width), 1, a.baseAddress, blasint(aRows.stride), b.baseAddress,
            blasint(bRows.stride), 0, out.baseAddress, blasint(bRows.width))
        }
      }
      initialized = count
    }
  }

  /// Consecutive rows of a weight and the column of the result where theirs begin.
  private struct Tile {
    let rows: Range<Int>
    let column: Int
  }

  private func directly(
    _ x: Matrix, _ weight: WeightMatrix, _ tiles: [Tile], _ width: Int
  ) -> Matrix {
    let parts = concurrentMap(tiles.count, threads: threads) { index in
      let rows = tiles[index].rows
      var part = [Float](repeating: 0, count: x.rows * rows.count)
      let size = weight.columns * weight.element.width
      weight.bytes.withSpan { bytes in
        Kernels.best.dotRows(
          into: &part, stride: rows.count, x.values.span, .init(x.rows, width: x.columns),
          bytes.extracting(rows.lowerBound * size..<rows.upperBound * size),
          .init(rows.count, width: x.columns), weight.element)
      }
      return part
    }
    return assemble(parts, rows: x.rows, columns: width)
  }

  private func throughTiles(
    _ x: Matrix, _ weight: WeightMatrix, _ tiles: [Tile], _ width: Int
  ) -> Matrix {
    guard width > 0, x.columns > 0 else { return Matrix(rows: x.rows, columns: width) }
    let packed = Kernels.best.pack(x)
    let values = unsafe [Float](unsafeUninitializedCapacity: x.rows * width) { out, initialized in
      concurrently(tiles.count, threads: threads) { index in
        let tile = tiles[index]
        let widened = weight.widened(
          tile.rows.lowerBound * x.columns..<tile.rows.upperBound * x.columns)
        // Tiles write disjoint columns of the result, so threads share the buffer.
        unsafe Kernels.best.multiply(
          into: out, at: tile.column, stride: width, packed, widened)
      }
      initialized = x.rows * width
    }
    return Matrix(rows: x.rows, columns: width, values: values)
  }

  /// Joins parts that are blocks of columns, each [rows, its width].
  private func assemble(_ parts: [[Float]], rows: Int, columns: Int) -> Matrix {
    if rows == 1 { return Matrix(rows: 1, columns: columns, values: Array(parts.joined())) }
    var result = Matrix(rows: rows, columns: columns)
    var column = 0
    for part in parts {
      let width = part.count / max(1, rows)
      for row in 0..<rows {
        result.values.replaceSubrange(
          row * columns + column..<row * columns + column + width,
          with: part[row * width..<(row + 1) * width])
      }
      column += width
    }
    return result
  }
}
