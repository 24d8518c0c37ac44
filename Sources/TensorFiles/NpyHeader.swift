import ByteIO

/// The dictionary at the start of a `.npy` file, read by a grammar of its own and never evaluated.
struct NpyHeader {
  let scalar: ScalarType
  let isSwapped: Bool
  let isFortran: Bool
  let shape: [Int]

  /// Parses `text`, which begins at byte `start` of the file.
  init(
    parsing text: [UInt8], at start: Int, limits: TensorFileLimits
  ) throws(TensorFileError) {
    var parser = NpyHeaderParser(text: text, start: start)
    var type: (scalar: ScalarType, isSwapped: Bool)?
    var isFortran: Bool?
    var shape: [Int]?
    try parser.expect("{")
    while !parser.take("}") {
      let place = parser.place
      let key = try parser.string()
      try parser.expect(":")
      switch key {
      case "descr" where type == nil:
        type = try NumpyType.parse(try parser.descr(), at: parser.place)
      case "fortran_order" where isFortran == nil:
        isFortran = try parser.bool()
      case "shape" where shape == nil:
        shape = try parser.shape(limits: limits)
      default:
        throw TensorFileError(
          .npyHeader, "npy header key \(quoted(key)) is unknown or appears twice", at: place)
      }
      if !parser.take(",") {
        try parser.expect("}")
        break
      }
    }
    try parser.finish()
    guard let type, let isFortran, let shape else {
      throw TensorFileError(
        .npyHeader, "npy header lacks one of descr, fortran_order and shape", at: .byte(start))
    }
    scalar = type.scalar
    isSwapped = type.isSwapped
    self.isFortran = isFortran
    self.shape = shape
  }
}

/// The few Python literals that numpy writes into a header.
private struct NpyHeaderParser {
  let text: [UInt8]
  let start: Int
  var offset = 0

  init(text: [UInt8], start: Int) {
    self.text = text
    self.start = start
  }

  var place: TensorFileError.Location { .byte(start + offset) }

  private var next: UInt8? { offset < text.count ? text[offset] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A { offset += 1 }
  }

  /// Whether `word` comes next, passing it.
  mutating func take(_ word: StaticString) -> Bool {
    skipSpace()
    let bytes = Array(word.description.utf8)
    guard text[offset...].starts(with: bytes) else { return false }
    offset += bytes.count
    return true
  }

  mutating func expect(_ word: StaticString) throws(TensorFileError) {
    guard take(word) else { throw unexpected("\"\(word)\"") }
  }

  /// Nothing but spaces and line ends is left.
  mutating func finish() throws(TensorFileError) {
    skipSpace()
    guard offset == text.count else { throw unexpected("the end of the header") }
  }

  /// A string in single or double quotes; numpy never needs an escape.
  mutating func string() throws(TensorFileError) -> String {
    skipSpace()
    guard let quote = next, quote == 0x27 || quote == 0x22 else { throw unexpected("a string") }
    guard
      let end = text[(offset + 1)...].firstIndex(where: { $0 == quote || $0 == 0x5C || $0 < 0x20 }),
      text[end] == quote
    else { throw TensorFileError(.npyHeader, "npy header has an odd string", at: place) }
    defer { offset = end + 1 }
    return String(decoding: text[(offset + 1)..<end], as: UTF8.self)
  }

  mutating func bool() throws(TensorFileError) -> Bool {
    if take("True") { return true }
    if take("False") { return false }
    throw unexpected("True or False for fortran_order")
  }

  /// The type's text; structured types are lists and tuples.
  mutating func descr() throws(TensorFileError) -> String {
    skipSpace()
    if next == 0x5B || next == 0x28 {
      throw TensorFileError(
        .elementType, "npy descr is a structured type, which no mask has", at: place)
    }
    return try string()
  }

  /// A tuple of decimal integers, `(2,)` and `()` included.
  mutating func shape(limits: TensorFileLimits) throws(TensorFileError) -> [Int] {
    try expect("(")
    var shape: [Int] = []
    while !take(")") {
      guard shape.count < limits.rank else {
        throw TensorFileError(
          .limit, "npy shape has more than \(limits.rank) dimensions", at: place)
      }
      shape.append(try dimension(limits: limits))
      if take(",") { continue }
      guard shape.count > 1 else { throw unexpected("\",\" after the only dimension") }
      try expect(")")
      break
    }
    return shape
  }

  private mutating func dimension(limits: TensorFileLimits) throws(TensorFileError) -> Int {
    skipSpace()
    let digits = text[offset...].prefix { (0x30...0x39).contains($0) }
    guard !digits.isEmpty else { throw unexpected("a dimension") }
    guard digits.first != 0x30 || digits.count == 1,
      let size = Int(String(decoding: digits, as: UTF8.self))
    else {
      throw TensorFileError(
        .shape, "npy dimension has a leading zero or does not fit 64 bits", at: place)
    }
    guard size <= limits.dimension else {
      throw TensorFileError(.limit, "npy dimension \(size), the limit is 2^48", at: place)
    }
    offset += digits.count
    return size
  }

  private func unexpected(_ expected: String) -> TensorFileError {
    guard let byte = next else {
      return TensorFileError(
        .npyHeader, "npy header ends where \(expected) should be", at: place)
    }
    let found = byte < 0x80 ? quoted(String(UnicodeScalar(byte))) : "a byte past ASCII"
    return TensorFileError(
      .npyHeader, "npy header: expected \(expected), found \(found)", at: place)
  }
}
