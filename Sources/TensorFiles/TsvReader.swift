public import ByteIO

/// Reads the tables of scaling factors that LeanK's trainer writes: one row a layer, a tab between
/// cells, every cell a decimal number in 0...1.
public enum TsvReader {
  private static let tab: UInt8 = 0x09
  private static let lineFeed: UInt8 = 0x0A
  private static let carriageReturn: UInt8 = 0x0D

  /// The table as an F64 array [rows, columns]; negative zero stays.
  ///
  /// Lines end in LF or CR LF, the last one may lack it. Fails with `.tableCell` for anything that is
  /// not a decimal number in 0...1, `.tableShape` for rows of different lengths or none, `.tableText`
  /// for a byte-order mark, `.limit`; each names line and column (a cell's number).
  public static func read(
    _ bytes: Span<UInt8>, limits: TensorFileLimits = .standard
  ) throws(TensorFileError) -> TensorArray {
    try checkText(bytes)
    var values: [UInt8] = []
    var columns = 0
    var rows = 0
    var start = 0
    while start < bytes.count {
      let line = try nextLine(from: start, in: bytes, row: rows, limits: limits)
      guard rows < limits.tableRows else {
        throw TensorFileError(
          .limit, "more than \(limits.tableRows) rows", at: .line(rows + 1, column: 1))
      }
      let found = try row(line.cells, in: bytes, number: rows + 1, into: &values, limits: limits)
      if rows == 0 { columns = found }
      guard found == columns else {
        throw TensorFileError(
          .tableShape, "row of \(found) cells, the first row has \(columns)",
          at: .line(rows + 1, column: min(found, columns) + 1))
      }
      rows += 1
      start = line.next
    }
    return TensorArray(scalar: .f64, shape: [rows, columns], bytes: values)
  }

  private static func checkText(_ bytes: Span<UInt8>) throws(TensorFileError) {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) || bytes.starts(with: [0xFF, 0xFE])
      || bytes.starts(with: [0xFE, 0xFF])
    {
      throw TensorFileError(
        .tableText, "begins with a byte-order mark, expected plain ASCII",
        at: .line(1, column: 1))
    }
    if bytes.count == 0 || FileSignature(bytes) != nil { throw .notA("a table of numbers", bytes) }
  }

  /// The cells of the line at `start`, without its end, and where the next line begins.
  private static func nextLine(
    from start: Int, in bytes: Span<UInt8>, row: Int, limits: TensorFileLimits
  ) throws(TensorFileError) -> (cells: Range<Int>, next: Int) {
    let last = min(bytes.count, start.adding(limits.tableLine) ?? bytes.count)
    var end = start
    while end < last, bytes[end] != lineFeed { end += 1 }
    guard end == bytes.count || bytes[end] == lineFeed else {
      throw TensorFileError(
        .limit, "line of more than \(limits.tableLine) bytes", at: .line(row + 1, column: 1))
    }
    let next = min(end + 1, bytes.count)
    if end > start, end < bytes.count, bytes[end - 1] == carriageReturn { end -= 1 }
    return (start..<end, next)
  }

  /// Appends the cells of one line to `values`, eight bytes each, and returns their number.
  private static func row(
    _ cells: Range<Int>, in bytes: Span<UInt8>, number: Int, into values: inout [UInt8],
    limits: TensorFileLimits
  ) throws(TensorFileError) -> Int {
    // cells of a few characters become eight bytes each
    let room = bytes.count + limits.expansion / 2
    var column = 0
    var start = cells.lowerBound
    while true {
      column += 1
      let place = TensorFileError.Location.line(number, column: column)
      guard column <= limits.tableColumns, values.count < room else {
        throw TensorFileError(
          .limit, "more than \(limits.tableColumns) columns, or than \(room / 8) cells", at: place)
      }
      var end = start
      while end < cells.upperBound, bytes[end] != tab { end += 1 }
      guard end - start <= limits.tableToken else {
        throw TensorFileError(
          .limit, "cell of \(end - start) bytes, the limit is \(limits.tableToken)", at: place)
      }
      let token = bytes.copy(start..<end)
      guard let value = DecimalNumber.value(of: token), (0...1).contains(value) else {
        throw TensorFileError(
          .tableCell,
          "expected a decimal number in 0...1, found "
            + quoted(String(decoding: token, as: UTF8.self)), at: place)
      }
      for shift in stride(from: UInt64(0), to: 64, by: 8) {
        values.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift))
      }
      guard end < cells.upperBound else { return column }
      start = end + 1
    }
  }
}

/// Decimal numbers by a strict grammar: `[+-]? digits? (. digits?)? ([eE] [+-]? digits)?` with a
/// digit before the exponent.
enum DecimalNumber {
  /// The nearest double; nil where the grammar is not met. Swift's own `Double(_:)` also takes `nan`,
  /// `inf` and hexadecimal.
  static func value(of token: [UInt8]) -> Double? {
    var rest = token[...]
    takeSign(&rest)
    let whole = takeDigits(&rest)
    var fraction = 0
    if rest.first == 0x2E {
      rest.removeFirst()
      fraction = takeDigits(&rest)
    }
    guard whole + fraction > 0 else { return nil }
    if rest.first == 0x65 || rest.first == 0x45 {
      rest.removeFirst()
      takeSign(&rest)
      guard takeDigits(&rest) > 0 else { return nil }
    }
    guard rest.isEmpty else { return nil }
    return Double(String(decoding: token, as: UTF8.self))
  }

  private static func takeSign(_ text: inout ArraySlice<UInt8>) {
    if text.first == 0x2B || text.first == 0x2D { text.removeFirst() }
  }

  private static func takeDigits(_ text: inout ArraySlice<UInt8>) -> Int {
    let digits = text.prefix { (0x30...0x39).contains($0) }.count
    text.removeFirst(digits)
    return digits
  }
}
