import ByteIO

/// numpy's names for element types.
enum NumpyType {
  /// Scalar type and byte order of a type text such as `<f4`.
  static func parse(
    _ text: String, at place: TensorFileError.Location?
  ) throws(TensorFileError) -> (scalar: ScalarType, isSwapped: Bool) {
    let code = text.dropFirst()
    guard let mark = text.first, mark == "<" || mark == ">" || mark == "|" else {
      throw TensorFileError(
        .npyHeader, "npy descr \(quoted(text)) has no byte order \"<\", \">\" or \"|\"", at: place)
    }
    guard let scalar = scalar(code) else {
      let kind = code.first
      if kind == "O" {
        throw TensorFileError(
          .objectArray,
          "object arrays hold pickles, which are not read from numpy files: save a "
            + "bool or float array", at: place)
      }
      let isLegal = kind.map { "SUVMmcfiub".contains($0) } ?? false
      let isFloat3 = code == "f3"
      guard isLegal, !isFloat3 else {
        throw TensorFileError(
          .npyHeader, "npy descr \(quoted(text)) names no type", at: place)
      }
      throw TensorFileError(
        .elementType,
        "npy descr \(quoted(text)): only bool, integer and float arrays of at most "
          + "64 bits are read", at: place)
    }
    guard mark != "|" || scalar.bitWidth == 8 else {
      throw TensorFileError(
        .npyHeader, "npy descr \(quoted(text)) lacks a byte order", at: place)
    }
    return (scalar, mark == ">" && scalar.bitWidth > 8)
  }

  /// The scalar that a type text without byte order names, such as `f4`.
  static func scalar(_ code: Substring) -> ScalarType? {
    switch code {
    case "b1": .bool
    case "u1": .u8
    case "i1": .i8
    case "u2": .u16
    case "i2": .i16
    case "u4": .u32
    case "i4": .i32
    case "u8": .u64
    case "i8": .i64
    case "f2": .f16
    case "f4": .f32
    case "f8": .f64
    default: nil
    }
  }

  /// The text numpy writes for `scalar`; nil where numpy has no such type.
  static func text(of scalar: ScalarType) -> String? {
    switch scalar {
    case .bool: "|b1"
    case .u8: "|u1"
    case .i8: "|i1"
    case .u16: "<u2"
    case .i16: "<i2"
    case .u32: "<u4"
    case .i32: "<i4"
    case .u64: "<u8"
    case .i64: "<i8"
    case .f16: "<f2"
    case .f32: "<f4"
    case .f64: "<f8"
    default: nil
    }
  }
}
