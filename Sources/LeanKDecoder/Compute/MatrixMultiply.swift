import ByteIO

/// Products of activations with weights.
///
/// A product is cut into tiles of weight rows; each is widened to f32 and multiplied by one thread.
/// Every element of a result is summed in one fixed order, whatever rows and threads are beside it: a row
/// that is left by pruning gives the same bits as among all rows, and exact comparisons rest on that.
/// Other tokens do not matter either, but that up to `fewTokens` of them go another way, in another
/// order: who must not depend on them gives a product the same tokens each time. That, and its speed where OpenBLAS does not know the processor, is why
/// weights go through our own loops.
extension ComputeContext {
  /// Up to this many tokens, weights are read once and widened in registers.
  static let fewTokens = 8
  /// Rows of one widened tile: those that a core's loops take at a time.
  private static let tileRows = 96

  /// Some rows of a weight, which make the columns of a product in their order.
  struct WeightRows {
    let weight: WeightMatrix
    let rows: [Range<Int>]
  }

  /// `x Wᵀ` for the given rows of W, in their order: [x.rows, sum of the ranges' lengths].
  func product(_ x: Matrix, _ weight: WeightMatrix, rows: [Range<Int>]) -> Matrix {
    products(x, [WeightRows(weight: weight, rows: rows)])[0]
  }

  /// `x Wᵀ` for each of some weights: what all need of x is made once, and threads wait for each other
  /// once.
  func products(_ x: Matrix, _ weights: [WeightRows]) -> [Matrix] {
    let few = x.rows <= Self.fewTokens
    let step = few ? max(64, 8192 / max(1, x.columns)) : Self.tileRows
    var tiles: [Tile] = []
    var columns: [Int] = []
    for (index, part) in weights.enumerated() {
      precondition(part.weight.columns == x.columns)
      var column = 0
      for range in part.rows {
        for rows in range.blocks(of: step) {
          tiles.append(Tile(weight: part.weight, rows: rows, result: index, column: column))
          column += rows.count
        }
      }
      columns.append(column)
    }
    guard x.columns > 0 else { return columns.map { Matrix(rows: x.rows, columns: $0) } }
    return few ? directly(x, tiles, columns) : throughTiles(x, tiles, columns)
  }

  /// Consecutive rows of a weight, and where theirs begin: a product and its column.
  private struct Tile: Sendable {
    let weight: WeightMatrix
    let rows: Range<Int>
    let result: Int
    let column: Int

    /// The rows as they are stored.
    func withBytes(_ body: (Span<UInt8>) -> Void) {
      let size = weight.columns * weight.element.byteWidth
      weight.bytes.withSpan {
        body($0.extracting(rows.lowerBound * size..<rows.upperBound * size))
      }
    }
  }

  private func directly(_ x: Matrix, _ tiles: [Tile], _ columns: [Int]) -> [Matrix] {
    let kernels = kernels
    return unsafe Matrix.several(rows: x.rows, columns: columns) { results in
      concurrently(tiles.count) { index in
        let tile = tiles[index]
        let (out, width) = (results[tile.result], columns[tile.result])
        // Tiles write columns of their own.
        let place = tile.column..<out.count - (width - tile.column - tile.rows.count)
        tile.withBytes { bytes in
          unsafe kernels.dotRows(
            into: out.part(place), stride: width, x.values.span, .init(x.rows, width: x.columns),
            raw: bytes.bytes, .init(tile.rows.count, width: x.columns), tile.weight.element)
        }
      }
    }
  }

  private func throughTiles(_ x: Matrix, _ tiles: [Tile], _ columns: [Int]) -> [Matrix] {
    let kernels = kernels
    let packed = packed(x)
    return unsafe Matrix.several(rows: x.rows, columns: columns) { results in
      concurrently(tiles.count) { index in
        let tile = tiles[index]
        let out = results[tile.result]
        // Tiles write columns of their own.
        tile.withBytes { bytes in
          unsafe kernels.multiply(
            into: out.part(0..<out.count), at: tile.column, stride: columns[tile.result], packed,
            bytes, tile.weight.element)
        }
      }
    }
  }

  /// `x` rearranged for the loops, by all threads.
  func packed(_ x: Matrix) -> Kernels.PackedTokens {
    let blocks = (0..<x.rows).blocks(of: 4 * kernels.packStep)
    return kernels.packed(x) { pack in concurrently(blocks.count) { pack(blocks[$0]) } }
  }
}
