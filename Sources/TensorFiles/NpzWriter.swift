public import ByteIO

/// Writes numpy's `.npz` files.
public enum NpzWriter {
  /// The arrays as stored `.npy` members, in the order given; names are unique and plain.
  ///
  /// Fails with `.unwritable` for element types that numpy lacks, or past 4 GiB.
  public static func bytes(of tensors: [NamedTensor]) throws(TensorFileError) -> [UInt8] {
    var zip = ZipWriter()
    for tensor in tensors {
      // numpy aligns nothing; aligned data can be mapped and used in place
      try zip.add(tensor.name + ".npy", try NpyWriter.bytes(of: tensor.array), alignment: 64)
    }
    return zip.bytes
  }
}
