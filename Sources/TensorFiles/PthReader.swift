public import ByteIO

/// Reads the tensors of torch files in the zip format, which torch writes since version 1.6.
public enum PthReader {
  /// Where the way out from the older formats is told.
  static let resave =
    "save it again with torch 1.6 or newer: torch.save(torch.load(\"old.pth\", weights_only=True), "
    + "\"new.pth\")"

  /// All tensors and numpy arrays in `bytes`, in the order of the file: a bare tensor has the empty
  /// name, others are named by dictionary keys and list indices joined with dots.
  ///
  /// The pickle inside is read as data and nothing in it is run. Plain values beside tensors are
  /// passed over; a file without any tensor gives an empty list. Fails with the zip, pickle and torch
  /// codes of `TensorFileCode`.
  public static func read(
    _ bytes: Span<UInt8>, limits: TensorFileLimits = .standard
  ) throws(TensorFileError) -> [NamedTensor] {
    switch FileSignature(bytes) {
    case .legacyTorch, .legacyTorchTar, .pickle:
      let kind = FileSignature(bytes)?.description ?? ""
      throw TensorFileError(.torchLegacy, "torch file is \(kind): \(resave)")
    default: break
    }
    let archive = try ZipArchive(parsing: bytes, expected: "a torch file", limits: limits)
    let records = try TorchRecords(archive, in: bytes, limits: limits)
    switch records.pickle {
    case .stored(let range):
      return try tensors(bytes.extracting(range), records, in: bytes, limits: limits)
    case .inflated(let content):
      return try tensors(content.span, records, in: bytes, limits: limits)
    }
  }

  private static func tensors(
    _ pickle: Span<UInt8>, _ records: TorchRecords, in bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) -> [NamedTensor] {
    let document = try PickleReader.read(pickle, limits: limits)
    let walk = try PickleWalk(document, in: pickle, limits: limits)
    for storage in document.storages { try records.check(storage) }
    try checkSizes(walk.leaves.map(\.leaf), fileSize: bytes.count, limits: limits)
    var result: [NamedTensor] = []
    for (name, leaf) in walk.leaves {
      let array =
        switch leaf {
        case .tensor(let tensor, let storage): records.array(tensor, storage, in: bytes)
        case .array(let array): try numpyArray(array, in: pickle, name: name)
        }
      result.append(NamedTensor(name: name, array: array))
    }
    return result
  }

  /// No array, and not all of them together, is larger than the limits allow.
  private static func checkSizes(
    _ leaves: [PickleWalk.Leaf], fileSize: Int, limits: TensorFileLimits
  ) throws(TensorFileError) {
    var total = 0
    for leaf in leaves {
      // the element count is within its limit, so this product fits
      let size = (leaf.shape.checkedProduct() ?? 0) * leaf.scalar.bitWidth / 8
      total += size
      guard size <= limits.arrayBytes, total <= fileSize + limits.expansion else {
        throw TensorFileError(
          .limit,
          "tensors of more than \(total) bytes in a file of \(fileSize): views are repeated too often"
        )
      }
    }
  }

  private static func numpyArray(
    _ array: PickledArray, in pickle: Span<UInt8>, name: String
  ) throws(TensorFileError) -> TensorArray {
    var data = pickle.copy(array.data.range)
    if array.isLatin1 {
      guard let decoded = latin1(data) else {
        throw TensorFileError(
          .pickleOperand, "numpy array's data is not Latin-1 text", at: .key(name))
      }
      data = decoded
    }
    let width = array.scalar.bitWidth / 8
    guard data.count == (array.shape.checkedProduct() ?? 0) * width else {
      throw TensorFileError(
        .torchTensor,
        "numpy array of shape \(array.shape) and \(width)-byte elements has \(data.count) bytes",
        at: .key(name))
    }
    let elements = StridedCopy.elements(
      of: data.span, from: 0, shape: array.shape,
      strides: StridedCopy.strides(of: array.shape, isFortran: array.isFortran), width: width,
      isSwapped: array.isSwapped)
    return TensorArray(scalar: array.scalar, shape: array.shape, bytes: elements)
  }

  /// The bytes that stand in valid UTF-8 `text` as scalars below 256.
  private static func latin1(_ text: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var lead: UInt8?
    for byte in text {
      if let high = lead {
        result.append(high << 6 | (byte & 0x3F))
        lead = nil
      } else if byte < 0x80 {
        result.append(byte)
      } else if byte == 0xC2 || byte == 0xC3 {
        lead = byte
      } else {
        return nil
      }
    }
    return result
  }
}
