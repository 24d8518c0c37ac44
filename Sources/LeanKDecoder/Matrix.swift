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

  public subscript(row: Int, column: Int) -> Float {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// The elements of one row.
  public func row(_ index: Int) -> ArraySlice<Float> {
    values[index * columns..<(index + 1) * columns]
  }

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
}
