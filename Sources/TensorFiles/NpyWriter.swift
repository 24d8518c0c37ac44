public import ByteIO

/// Writes numpy's `.npy` files.
public enum NpyWriter {
  /// `array` in version 1.0, its data at a multiple of 64 bytes, as numpy writes it.
  ///
  /// Fails with `.unwritable` for element types that numpy lacks, such as bfloat16.
  public static func bytes(of array: TensorArray) throws(TensorFileError) -> [UInt8] {
    guard let type = NumpyType.text(of: array.scalar) else {
      throw TensorFileError(
        .unwritable, "numpy has no type for \(array.scalar.rawValue): write .safetensors instead")
    }
    let shape =
      array.shape.count == 1
      ? "(\(array.shape[0]),)"
      : "(" + array.shape.map(String.init).joined(separator: ", ") + ")"
    var header = Array("{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }".utf8)
    let prefix = NpyReader.magic.count + 4
    while !(prefix + header.count + 1).isMultiple(of: 64) { header.append(0x20) }
    header.append(0x0A)
    guard let length = UInt16(exactly: header.count) else {
      throw TensorFileError(.unwritable, "shape of rank \(array.shape.count) fits no npy header")
    }
    var writer = ByteWriter()
    writer.append(contentsOf: NpyReader.magic)
    writer.append(UInt16(1))
    writer.append(length)
    writer.append(contentsOf: header)
    writer.append(contentsOf: array.bytes)
    return writer.bytes
  }
}
