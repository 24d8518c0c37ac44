/// A dense f32 matrix, row after row; rows are tokens almost everywhere.
public struct Matrix: Sendable, Hashable {
  public let rows: Int
  public let columns: Int
  /// `rows * columns` elements.
  public internal(set) var values: [Float]

  public init(rows: Int, columns: Int, values: [Float]) {
    precondition(values.count == rows * columns)
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// All zero.
  public init(rows: Int, columns: Int) {
    self.init(
      rows: rows, columns: columns, values: [Float](repeating: 0, count: rows * columns))
  }

  /// Elements that `fill` has to initialise, all of them.
  @unsafe init(
    rows: Int, columns: Int, filledBy fill: (UnsafeMutableBufferPointer<Float>) -> Void
  ) {
    let count = rows * columns
    self.init(
      rows: rows, columns: columns,
      values: unsafe [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
        unsafe fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
        initialized = count
      })
  }

  /// Matrices of one width, one below the other; at least one.
  public init(joining parts: [Matrix]) {
    if parts.count == 1 {
      self = parts[0]
      return
    }
    let columns = parts.first?.columns ?? 0
    precondition(parts.allSatisfy { $0.columns == columns })
    self.init(
      rows: parts.reduce(0) { $0 + $1.rows }, columns: columns,
      values: Array(parts.map(\.values).joined()))
  }

  /// Matrices of as many rows and these columns, whose elements `fill` has to initialise, all of them.
  @unsafe static func several(
    rows: Int, columns: [Int], filledBy fill: ([DisjointElements<Float>]) -> Void
  ) -> [Matrix] {
    func lend(_ columns: ArraySlice<Int>, _ lent: [DisjointElements<Float>]) -> [Matrix] {
      guard let first = columns.first else {
        fill(lent)
        return []
      }
      var others: [Matrix] = []
      let matrix = unsafe Matrix(rows: rows, columns: first) { elements in
        others = unsafe lend(columns.dropFirst(), lent + [DisjointElements(elements)])
      }
      return [matrix] + others
    }
    return lend(columns[...], [])
  }

  /// Blocks of columns side by side, each [rows, its width].
  init(columnBlocks blocks: [[Float]], rows: Int, columns: Int) {
    if blocks.count == 1 {
      self.init(rows: rows, columns: columns, values: blocks[0])
      return
    }
    if rows == 1 {
      self.init(rows: 1, columns: columns, values: Array(blocks.joined()))
      return
    }
    self.init(rows: rows, columns: columns)
    var column = 0
    for block in blocks where rows > 0 {
      let part = Matrix(rows: rows, columns: block.count / rows, values: block)
      replace(columnsFrom: column, with: part)
      column += part.columns
    }
  }

  public subscript(row: Int, column: Int) -> Float {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// The elements of one row.
  public func row(_ index: Int) -> ArraySlice<Float> {
    values[index * columns..<(index + 1) * columns]
  }

  /// Some rows as a matrix.
  public func rows(_ range: Range<Int>) -> Matrix {
    if range == 0..<rows { return self }
    return Matrix(
      rows: range.count, columns: columns,
      values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }

  /// The last row as a matrix of one, empty where there is none.
  public var lastRow: Matrix { rows(max(0, rows - 1)..<rows) }

  /// `self += factor * other`.
  mutating func add(_ other: Matrix, times factor: Float = 1) {
    precondition(rows == other.rows && columns == other.columns)
    for index in values.indices { values[index] += factor * other.values[index] }
  }

  /// Adds `bias`, one element a column, to every row.
  mutating func add(bias: [Float]) {
    precondition(bias.count == columns)
    for row in 0..<rows {
      let first = row * columns
      for column in bias.indices { values[first + column] += bias[column] }
    }
  }

  mutating func multiply(by factor: Float) {
    guard factor != 1 else { return }
    for index in values.indices { values[index] *= factor }
  }

  /// Copies `part`'s columns to those from `column` on.
  mutating func replace(columnsFrom column: Int, with part: Matrix) {
    precondition(part.rows == rows && column + part.columns <= columns)
    for row in 0..<rows {
      let first = row * columns + column
      values.replaceSubrange(first..<first + part.columns, with: part.row(row))
    }
  }

  /// Copies `part`'s rows to those from `row` on.
  mutating func replace(rowsFrom row: Int, with part: Matrix) {
    precondition(part.columns == columns && row + part.rows <= rows)
    values.replaceSubrange(row * columns..<(row + part.rows) * columns, with: part.values)
  }

  /// Column of a row's largest element, the lowest of equals.
  public func argmax(row: Int) -> Int {
    let elements = self.row(row)
    var best = elements.startIndex
    for index in elements.indices where elements[index] > elements[best] { best = index }
    return best - elements.startIndex
  }
}
