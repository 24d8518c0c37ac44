import ByteIO

/// The records of a torch archive, checked: one folder, one pickle, little-endian storages.
struct TorchRecords {
  let pickle: ZipArchive.Content
  private let storages: [UTF8Name: ZipArchive.Content]

  init(
    _ archive: ZipArchive, in bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) {
    var root: Substring?
    var pickle: ZipArchive.Content?
    var storages: [UTF8Name: ZipArchive.Content] = [:]
    var budget = limits.expansion
    for entry in archive.entries {
      guard let slash = entry.name.firstIndex(of: "/") else {
        throw TensorFileError(
          .torchArchive, "record \(quoted(entry.name)) is in no folder, expected NAME/data.pkl")
      }
      let folder = entry.name[..<slash]
      guard root == nil || root?.utf8.elementsEqual(folder.utf8) == true else {
        throw TensorFileError(
          .torchArchive,
          "torch archive has two folders, \(quoted(String(root ?? ""))) and "
            + quoted(String(folder)))
      }
      root = folder
      let name = entry.name[entry.name.index(after: slash)...]
      if name == "constants.pkl" || name.hasPrefix("code/") {
        throw TensorFileError(
          .torchScript, "a TorchScript archive, which holds a program: save the tensor alone")
      }
      if name == "data.pkl", entry.size > limits.pickleBytes {
        throw TensorFileError(
          .limit, "data.pkl of \(entry.size) bytes, the limit is \(limits.pickleBytes)")
      }
      let content = try archive.content(of: entry, in: bytes, budget: &budget)
      if name == "data.pkl" {
        pickle = content
      } else if name == "byteorder" {
        try Self.checkByteOrder(content, in: bytes)
      } else if name.hasPrefix("data/") {
        storages[UTF8Name(String(name.dropFirst(5)))] = content
      }
    }
    guard let pickle else {
      throw TensorFileError(.torchArchive, "torch archive without data.pkl")
    }
    self.pickle = pickle
    self.storages = storages
  }

  private static func checkByteOrder(
    _ content: ZipArchive.Content, in bytes: Span<UInt8>
  ) throws(TensorFileError) {
    let order =
      switch content {
      case .stored(let range): bytes.copy(range)
      case .inflated(let inflated): inflated
      }
    if order == Array("big".utf8) {
      throw TensorFileError(
        .torchFeature, "torch file from a big-endian machine: save it again on a little-endian one")
    }
    guard order == Array("little".utf8) else {
      throw TensorFileError(
        .torchArchive,
        "byteorder is \(quoted(String(decoding: order, as: UTF8.self))), expected little")
    }
  }

  /// The record of `storage` is there and exactly as long as its elements take.
  func check(_ storage: PickledStorage) throws(TensorFileError) {
    guard let content = storages[UTF8Name(storage.key)] else {
      throw TensorFileError(
        .torchTensor, "storage has no record in the archive", at: .key(storage.key))
    }
    let width = storage.scalar.bitWidth / 8
    guard storage.count.multiplied(by: width) == content.count else {
      throw TensorFileError(
        .torchTensor,
        "storage of \(storage.count) elements of \(width) bytes has a record of \(content.count)",
        at: .key(storage.key))
    }
  }

  /// The elements of `tensor`, whose storage has been checked.
  func array(
    _ tensor: PickledTensor, _ storage: PickledStorage, in bytes: Span<UInt8>
  ) -> TensorArray {
    let elements =
      switch storages[UTF8Name(storage.key)] {
      case .stored(let range): Self.elements(of: bytes.extracting(range), tensor, storage.scalar)
      case .inflated(let content): Self.elements(of: content.span, tensor, storage.scalar)
      case nil: [UInt8]()
      }
    return TensorArray(scalar: storage.scalar, shape: tensor.shape, bytes: elements)
  }

  private static func elements(
    of content: Span<UInt8>, _ tensor: PickledTensor, _ scalar: ScalarType
  ) -> [UInt8] {
    let width = scalar.bitWidth / 8
    return StridedCopy.elements(
      of: content, from: tensor.offset * width, shape: tensor.shape, strides: tensor.strides,
      width: width, isSwapped: false)
  }
}
