import ByteIO

/// Products of activations with weights.
///
/// A product is cut into tiles of weight rows; each is widened to f32 and multiplied by one thread.
/// Every element of a result is summed in one fixed order, whatever rows, tokens and threads are
/// beside it: a row that is left by pruning gives the same bits as among all rows, and exact
/// comparisons rest on that. That, and its speed where OpenBLAS does not know the processor, is why
/// weights go through our own loops.
extension ComputeContext {
  /// Up to this many tokens, weights are read once and widened in registers.
  static let fewTokens = 8
  /// Rows of one widened tile: divisible by those that a core multiplies at once, small enough for
  /// its own cache.
  private static let tileRows = 96

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
    guard x.columns > 0 else { return Matrix(rows: x.rows, columns: width) }
    return few
      ? directly(x, weight, tiles, width) : throughTiles(x, weight, tiles, width)
  }

  /// Consecutive rows of a weight and the column of the result where theirs begin.
  private struct Tile: Sendable {
    let rows: Range<Int>
    let column: Int
  }

  private func directly(
    _ x: Matrix, _ weight: WeightMatrix, _ tiles: [Tile], _ width: Int
  ) -> Matrix {
    let kernels = kernels
    let size = weight.columns * weight.element.byteWidth
    return unsafe Matrix(rows: x.rows, columns: width) { out in
      let out = unsafe DisjointElements(out)
      concurrently(tiles.count) { index in
        let rows = tiles[index].rows
        // Tiles write columns of their own.
        let place = tiles[index].column..<out.count - (width - tiles[index].column - rows.count)
        weight.bytes.withSpan { bytes in
          let part = bytes.extracting(rows.lowerBound * size..<rows.upperBound * size)
          unsafe kernels.dotRows(
            into: out.part(place), stride: width, x.values.span, .init(x.rows, width: x.columns),
            raw: part.bytes, .init(rows.count, width: x.columns), weight.element)
        }
      }
    }
  }

  private func throughTiles(
    _ x: Matrix, _ weight: WeightMatrix, _ tiles: [Tile], _ width: Int
  ) -> Matrix {
    let kernels = kernels
    let packed = packed(x)
    return unsafe Matrix(rows: x.rows, columns: width) { out in
      let out = unsafe DisjointElements(out)
      concurrently(tiles.count) { index in
        let tile = tiles[index]
        let widened = weight.widened(
          tile.rows.lowerBound * x.columns..<tile.rows.upperBound * x.columns)
        // Tiles write columns of their own.
        unsafe kernels.multiply(
          into: out.part(0..<out.count), at: tile.column, stride: width, packed, widened)
      }
    }
  }

  /// `x` rearranged for the loops, by all threads.
  func packed(_ x: Matrix) -> Kernels.PackedTokens {
    let blocks = (0..<x.rows).blocks(of: 4 * kernels.packStep)
    return kernels.packed(x) { pack in concurrently(blocks.count) { pack(blocks[$0]) } }
  }
}
