public import ByteIO

/// Codes of the readers of whole files: npy, npz, torch archives and tables.
extension TensorFileCode {
  /// Larger than `TensorFileLimits` allows.
  public static var limit: Self { Self("limit", .limitExceeded) }
  /// An element type that no mask or score has.
  public static var elementType: Self { Self("element_type", .unsupported) }
  /// A numpy object array, which holds a pickle.
  public static var objectArray: Self { Self("object_array", .unsupported) }
  /// The data is longer than the header says.
  public static var trailingData: Self { Self("trailing_data") }
  /// Tensor names of one file that cannot be told apart.
  public static var duplicateName: Self { Self("duplicate_name") }
  /// The array that was asked for cannot be written in this format.
  public static var unwritable: Self { Self("unwritable", .unsupported) }

  public static var npyVersion: Self { Self("npy_version") }
  public static var npyHeader: Self { Self("npy_header") }

  public static var zipStructure: Self { Self("zip_structure") }
  public static var zipName: Self { Self("zip_name") }
  public static var zipChecksum: Self { Self("zip_checksum") }
  public static var zipDeflate: Self { Self("zip_deflate") }
  /// Encryption, a compression method other than stored and deflate, several disks.
  public static var zipFeature: Self { Self("zip_feature", .unsupported) }

  /// A byte that is no pickle opcode, or an argument that its opcode cannot have.
  public static var pickleOpcode: Self { Self("pickle_opcode") }
  /// Operands of the wrong number or type.
  public static var pickleOperand: Self { Self("pickle_operand") }
  /// A pickle protocol or opcode that torch does not write for tensors.
  public static var pickleUnsupported: Self { Self("pickle_unsupported", .unsupported) }
  /// A class or function outside the list of those that stand for tensors.
  public static var pickleGlobal: Self { Self("pickle_global", .unsupported) }

  public static var torchArchive: Self { Self("torch_archive") }
  /// A storage or a view of it that contradicts itself.
  public static var torchTensor: Self { Self("torch_tensor") }
  /// Big-endian, quantized, complex or data-less tensors.
  public static var torchFeature: Self { Self("torch_feature", .unsupported) }
  /// The formats of torch before 1.6, and bare pickles.
  public static var torchLegacy: Self { Self("torch_legacy", .unsupported) }
  public static var torchScript: Self { Self("torch_script", .unsupported) }

  public static var tableCell: Self { Self("table_cell") }
  public static var tableShape: Self { Self("table_shape") }
  public static var tableText: Self { Self("table_text") }
}
