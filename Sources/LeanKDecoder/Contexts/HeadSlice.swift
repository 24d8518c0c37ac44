/// The columns of one head in rows that hold all heads: queries, keys or values of some tokens.
struct HeadSlice: Sendable {
  private let values: [Float]
  private let first: Int
  let rows: Kernels.Rows

  /// `columns` of the tokens `tokens`, which are rows of `width` elements of `values`.
  init(_ values: [Float], width: Int, tokens: Range<Int>, columns: Range<Int>) {
    precondition(columns.upperBound <= width && tokens.upperBound * width <= values.count)
    self.init(
      values, first: tokens.lowerBound * width + columns.lowerBound,
      Kernels.Rows(tokens.count, width: columns.count, stride: width))
  }

  private init(_ values: [Float], first: Int, _ rows: Kernels.Rows) {
    self.values = values
    // No token has no place.
    self.first = min(first, values.count)
    self.rows = rows
  }

  subscript(row: Int, column: Int) -> Float { values[first + row * rows.stride + column] }

  /// The slice's tokens `range`, counted from its first.
  func tokens(_ range: Range<Int>) -> HeadSlice {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows.count)
    return HeadSlice(
      values, first: first + range.lowerBound * rows.stride,
      Kernels.Rows(range.count, width: rows.width, stride: rows.stride))
  }

  /// The elements one after another, each times `factor` and that of its column: [tokens, columns].
  func scaled(by factor: Float, _ columns: [Float]? = nil) -> HeadSlice {
    var result: [Float] = []
    result.reserveCapacity(rows.count * rows.width)
    for row in 0..<rows.count {
      for column in 0..<rows.width {
        result.append(self[row, column] * factor * (columns?[column] ?? 1))
      }
    }
    return HeadSlice(
      result, width: rows.width, tokens: 0..<rows.count, columns: 0..<rows.width)
  }

  // MARK: - Products

  /// `out[place + i * stride + j] = self[i] . keys[j]` over the columns.
  func products(
    with keys: HeadSlice, into out: inout [Float], at place: Int = 0, stride: Int
  ) {
    Blas.scores(
      into: &out, at: place, stride: stride, values.span.extracting(droppingFirst: first), rows,
      keys.values.span.extracting(droppingFirst: keys.first), keys.rows)
  }

  /// The tokens weighted by each row of `weights`, [rows, tokens]: [rows, columns].
  func weightedSums(_ weights: [Float], rows count: Int) -> [Float] {
    Blas.weightedSum(
      weights.span, .init(count, width: rows.count),
      values.span.extracting(droppingFirst: first), rows)
  }
}
