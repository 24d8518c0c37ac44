/// Rows of a tensor as a set of ranges.
extension RangeSet<Int> {
  /// Number of rows.
  package var rowCount: Int { ranges.reduce(0) { $0 + $1.count } }

  /// Number of rows before `row`.
  func rowCount(below row: Int) -> Int {
    ranges.reduce(0) { $0 + $1.clamped(to: 0..<Swift.max(row, 0)).count }
  }

  /// The blocks of `size` rows that these are, counted from the first of `rows` rows; nil where a
  /// block is only partly among them. The last block may be shorter.
  func wholeBlocks(of size: Int, in rows: Int) -> RangeSet<Int>? {
    var blocks = RangeSet<Int>()
    for run in ranges {
      guard run.lowerBound.isMultiple(of: size),
        run.upperBound == rows || run.upperBound.isMultiple(of: size)
      else { return nil }
      blocks.insert(contentsOf: run.lowerBound / size..<(run.upperBound - 1) / size + 1)
    }
    return blocks
  }

  /// The rows of `0..<rows` that are not among these.
  func complement(in rows: Int) -> RangeSet<Int> {
    RangeSet(0..<rows).subtracting(self)
  }
}
