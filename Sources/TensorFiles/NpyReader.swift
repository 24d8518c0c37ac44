public import ByteIO

/// Reads numpy's `.npy` files, versions 1 to 3.
public enum NpyReader {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  /// The array that `bytes` hold, all of them: big-endian elements are swapped, Fortran order is
  /// transposed.
  ///
  /// Fails with `.otherFormat` and `.npyHeader` for what numpy would not write, `.elementType` and
  /// `.objectArray` for arrays that are no numbers, `.limit`, and `.truncated` or `.trailingData`
  /// when the data is not exactly what the shape takes.
  public static func read(
    _ bytes: Span<UInt8>, limits: TensorFileLimits = .standard
  ) throws(TensorFileError) -> TensorArray {
    let (header, start) = try header(bytes, limits: limits)
    let width = header.scalar.bitWidth / 8
    guard let count = header.shape.checkedProduct(), count <= limits.elements,
      let length = count.multiplied(by: width), length <= limits.arrayBytes
    else {
      throw TensorFileError(
        .limit,
        "npy shape \(header.shape) exceeds the limit of \(limits.elements) elements or "
          + "\(limits.arrayBytes) bytes", at: .byte(start))
    }
    guard bytes.count - start >= length else {
      throw TensorFileError(
        .truncated,
        "npy shape \(header.shape) takes \(length) bytes, only \(bytes.count - start) are there",
        at: .byte(bytes.count))
    }
    guard bytes.count - start == length else {
      throw TensorFileError(
        .trailingData, "\(bytes.count - start - length) bytes after the npy array",
        at: .byte(start + length))
    }
    let elements = StridedCopy.elements(
      of: bytes, from: start, shape: header.shape,
      strides: StridedCopy.strides(of: header.shape, isFortran: header.isFortran), width: width,
      isSwapped: header.isSwapped)
    return TensorArray(scalar: header.scalar, shape: header.shape, bytes: elements)
  }

  /// The header, and where the data begins.
  private static func header(
    _ bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) -> (NpyHeader, dataStart: Int) {
    guard bytes.starts(with: magic) else {
      if bytes.starts(with: [0x13] + Array("NUMPY".utf8)) {
        throw TensorFileError(
          .otherFormat, "the high bit of a npy file was lost in a 7-bit transfer", at: .byte(0))
      }
      throw .notA("a npy file", bytes)
    }
    var cursor = ByteCursor(at: magic.count)
    guard let major = cursor.uint8(in: bytes), let minor = cursor.uint8(in: bytes) else {
      throw TensorFileError(.truncated, "npy file ends before its version", at: .byte(bytes.count))
    }
    guard (1...3).contains(major), minor == 0 else {
      throw TensorFileError(
        .npyVersion, "npy version \(major).\(minor), expected 1.0, 2.0 or 3.0",
        at: .byte(magic.count))
    }
    let word =
      major == 1
      ? cursor.uint16(in: bytes).map(Int.init) : cursor.uint32(in: bytes).map(Int.init)
    guard let word else {
      throw TensorFileError(
        .truncated, "npy file ends before its header length", at: .byte(bytes.count))
    }
    guard word <= limits.npyHeader else {
      throw TensorFileError(
        .limit, "npy header of \(word) bytes, the limit is \(limits.npyHeader)",
        at: .byte(magic.count + 2))
    }
    let start = cursor.offset
    guard let text = cursor.bytes(word, in: bytes) else {
      throw TensorFileError(
        .truncated, "npy header of \(word) bytes, only \(bytes.count - start) are there",
        at: .byte(bytes.count))
    }
    return (try NpyHeader(parsing: text, at: start, limits: limits), cursor.offset)
  }
}
