import ByteIO

/// Codes of the readers of whole files: npy, npz, torch archives and tables.
extension TensorFileCode {
  /// Larger than `TensorFileLimits` allows.
  public static let limit = Self("limit", .limitExceeded)
  /// An element type that no mask or score has.
  public static let elementType = Self("element_type", .unsupported)
  /// A numpy object array, which holds a pickle.
  public static let objectArray = Self("object_array", .unsupported)
  /// The data is longer than the header says.
  public static let trailingData = Self("trailing_data")
  /// Tensor names of one file that cannot be told apart.
  public static let duplicateName = Self("duplicate_name")
  /// The array that was asked for cannot be written in this format.
  public static let unwritable = Self("unwritable", .unsupported)

  public static let npyVersion = Self("npy_version")
  public static let npyHeader = Self("npy_header")

  public static let zipStructure = Self("zip_structure")
  public static let zipName = Self("zip_name")
  public static let zipChecksum = Self("zip_checksum")
  public static let zipDeflate = Self("zip_deflate")
  /// Encryption, a compression method other than stored and deflate, several disks.
  public static let zipFeature = Self("zip_feature", .unsupported)

  /// A byte that is no pickle opcode, or an argument that its opcode cannot have.
  public static let pickleOpcode = Self("pickle_opcode")
  /// Operands of the wrong number or type.
  public static let pickleOperand = Self("pickle_operand")
  /// A pickle protocol or opcode that torch does not write for tensors.
  public static let pickleUnsupported = Self("pickle_unsupported", .unsupported)
  /// A class or function outside the list of those that stand for tensors.
  public static let pickleGlobal = Self("pickle_global", .unsupported)

  public static let torchArchive = Self("torch_archive")
  /// A storage or a view of it that contradicts itself.
  public static let torchTensor = Self("torch_tensor")
  /// Big-endian, quantized, complex or data-less tensors.
  public static let torchFeature = Self("torch_feature", .unsupported)
  /// The formats of torch before 1.6, and bare pickles.
  public static let torchLegacy = Self("torch_legacy", .unsupported)
  public static let torchScript = Self("torch_script", .unsupported)

  public static let tableCell = Self("table_cell")
  public static let tableShape = Self("table_shape")
  public static let tableText = Self("table_text")
}
