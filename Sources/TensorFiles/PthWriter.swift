public import ByteIO

/// Writes torch files in the zip format.
public enum PthWriter {
  /// A file holding one bare tensor, as `torch.save` writes it and `torch.load` with
  /// `weights_only=True` opens it.
  ///
  /// Fails with `.unwritable` for element types without a torch storage class, or past 4 GiB.
  public static func bytes(of array: TensorArray) throws(TensorFileError) -> [UInt8] {
    guard let storage = storageName(array.scalar) else {
      throw TensorFileError(
        .unwritable, "torch has no storage class for \(array.scalar.rawValue)")
    }
    var pickle = PickleWriter()
    pickle.global("torch._utils", "_rebuild_tensor_v2")
    pickle.mark()
    pickle.mark()
    pickle.string("storage")
    pickle.global("torch", storage)
    pickle.string("0")
    pickle.string("cpu")
    pickle.integer(array.count)
    pickle.code(.tuple)
    pickle.code(.persistentID)
    pickle.integer(0)
    pickle.tuple(array.shape)
    pickle.tuple(StridedCopy.strides(of: array.shape))
    pickle.code(.false)
    pickle.global("collections", "OrderedDict")
    pickle.code(.emptyTuple)
    pickle.code(.reduce)
    pickle.code(.tuple)
    pickle.code(.reduce)
    pickle.code(.stop)
    var zip = ZipWriter()
    try zip.add("mask/data.pkl", pickle.bytes, alignment: 64)
    try zip.add("mask/byteorder", Array("little".utf8), alignment: 64)
    try zip.add("mask/data/0", array.bytes, alignment: 64)
    try zip.add("mask/version", Array("3\n".utf8), alignment: 64)
    return zip.bytes
  }

  private static func storageName(_ scalar: ScalarType) -> String? {
    switch scalar {
    case .f32: "FloatStorage"
    case .f64: "DoubleStorage"
    case .f16: "HalfStorage"
    case .bf16: "BFloat16Storage"
    case .bool: "BoolStorage"
    case .u8: "ByteStorage"
    case .i8: "CharStorage"
    case .i16: "ShortStorage"
    case .i32: "IntStorage"
    case .i64: "LongStorage"
    default: nil
    }
  }
}

/// The opcodes of a protocol 2 pickle.
private struct PickleWriter {
  private var writer = ByteWriter()

  var bytes: [UInt8] { writer.bytes }

  init() {
    writer.append(PickleOpcode.proto)
    writer.append(UInt8(2))
  }

  mutating func code(_ opcode: PickleOpcode) { writer.append(opcode.rawValue) }

  mutating func mark() { code(.mark) }

  mutating func global(_ module: String, _ name: String) {
    code(.global)
    writer.append(contentsOf: Array("\(module)\n\(name)\n".utf8))
  }

  mutating func string(_ text: String) {
    code(.string)
    writer.append(UInt32(text.utf8.count))
    writer.append(contentsOf: Array(text.utf8))
  }

  mutating func integer(_ value: Int) {
    if let small = UInt8(exactly: value) {
      code(.uint8)
      writer.append(small)
    } else if let middle = Int32(exactly: value) {
      code(.int32)
      writer.append(middle)
    } else {
      code(.long1)
      writer.append(UInt8(8))
      writer.append(Int64(value))
    }
  }

  mutating func tuple(_ values: [Int]) {
    mark()
    for value in values { integer(value) }
    code(.tuple)
  }
}
