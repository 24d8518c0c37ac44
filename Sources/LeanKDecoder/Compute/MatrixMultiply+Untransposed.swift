/// Products whose sums run over the rows of a weight: of layers that store it [in, out], and backward
/// through those that store it [out, in]. Tiles are columns here.
extension ComputeContext {
  /// Columns of a tile for few tokens.
  private static let fewTokensTile = 512
  /// Columns of a widened tile: divisible by those that a core multiplies at once. Less where there are
  /// many rows, since a tile has to stay in a core's own cache.
  private static let tileColumns = (least: 24, most: 96)
  private static let tileElements = 1 << 17

  /// `x W` for a W stored [in, out].
  func productUntransposed(_ x: Matrix, _ weight: WeightMatrix) -> Matrix {
    productUntransposed(x, weight, rows: [0..<weight.rows])
  }

  /// `x W` for the given rows of W, [x.rows, columns of W]; column i of x belongs to the i-th of these
  /// rows.
  func productUntransposed(
    _ x: Matrix, _ weight: WeightMatrix, rows ranges: [Range<Int>]
  ) -> Matrix {
    precondition(ranges.reduce(0) { $0 + $1.count } == x.columns)
    guard x.columns > 0 else { return Matrix(rows: x.rows, columns: weight.columns) }
    return x.rows <= Self.fewTokens
      ? untransposedDirectly(x, weight, ranges) : untransposedThroughTiles(x, weight, ranges)
  }

  private func untransposedDirectly(
    _ x: Matrix, _ weight: WeightMatrix, _ ranges: [Range<Int>]
  ) -> Matrix {
    let kernels = kernels
    let columns = weight.columns
    let tiles = (0..<columns).blocks(of: Self.fewTokensTile)
    let parts = concurrentMap(tiles.count) { index in
      let tile = tiles[index]
      var part = [Float](repeating: 0, count: x.rows * tile.count)
      var first = 0
      for range in ranges where !range.isEmpty {
        let skipped = (range.lowerBound * columns + tile.lowerBound) * weight.element.byteWidth
        weight.bytes.withSpan { bytes in
          kernels.addRows(
            into: &part, stride: tile.count, x.values.span.extracting(droppingFirst: first),
            .init(x.rows, width: range.count, stride: x.columns),
            bytes.extracting(droppingFirst: skipped),
            .init(range.count, width: tile.count, stride: columns), weight.element)
        }
        first += range.count
      }
      return part
    }
    return Matrix(columnBlocks: parts, rows: x.rows, columns: columns)
  }

  private func untransposedThroughTiles(
    _ x: Matrix, _ weight: WeightMatrix, _ ranges: [Range<Int>]
  ) -> Matrix {
    let kernels = kernels
    let packed = packed(x)
    let columns = weight.columns
    let (least, most) = Self.tileColumns
    let step = min(most, max(least, Self.tileElements / x.columns / least * least))
    let tiles = (0..<columns).blocks(of: step)
    return unsafe Matrix(rows: x.rows, columns: columns) { out in
      let out = unsafe DisjointElements(out)
      concurrently(tiles.count) { index in
        let widened = weight.bytes.withSpan {
          kernels.widen($0, rows: ranges, columns: tiles[index], width: columns, weight.element)
        }
        // Tiles write columns of their own.
        unsafe kernels.multiplyColumns(
          into: out.part(0..<out.count), at: tiles[index].lowerBound, stride: columns, packed,
          widened)
      }
    }
  }
}
