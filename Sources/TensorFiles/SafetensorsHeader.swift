public import ByteIO
import StrictJSON

/// Name, type, shape and place of one tensor of a safetensors file.
public struct TensorInfo: Sendable, Hashable {
  public let name: String
  public let scalar: ScalarType
  public let shape: [Int]
  /// Bytes of the tensor, counted from the end of the header.
  public let range: Range<Int>

  public init(name: String, scalar: ScalarType, shape: [Int], range: Range<Int>) {
    self.name = name
    self.scalar = scalar
    self.shape = shape
    self.range = range
  }

  /// Rows of a matrix, elements of a vector: the first dimension; 1 for a scalar.
  public var rows: Int { shape.first ?? 1 }

  /// Bytes of one row; 0 where there is no row. Rows of sub-byte types may not be whole bytes.
  public var rowBytes: Int { rows == 0 ? 0 : range.count / rows }
}

/// The header of a safetensors file: its tensors in the order of their data, and its metadata.
///
/// Stricter than the reference reader where that one is ambiguous: duplicate names, duplicate
/// metadata keys and a header that does not begin with `{` are refused.
public struct SafetensorsHeader: Sendable, Hashable {
  /// Longest JSON part, in bytes; the reference implementation's cap.
  public static let lengthLimit = 100_000_000
  public static let tensorLimit = 1_000_000
  public static let nameLimit = 1 << 16
  public static let rankLimit = 64
  public static let dimensionLimit = 1 << 48
  /// Most keys of the metadata; training tools write a few hundred.
  public static let metadataLimit = 100_000
  static let metadataKey = "__metadata__"

  /// Tensors by position of their data; empty ones before a neighbour at the same place.
  public let tensors: [TensorInfo]
  public let metadata: [UTF8Name: String]
  /// Where the data begins in the file: 8 + length of the JSON.
  public let dataStart: Int

  /// Bytes of all tensors together.
  public var dataLength: Int { tensors.last?.range.upperBound ?? 0 }

  /// Length of the JSON part as the file's first eight bytes give it, checked against the limit and
  /// the size of the file.
  public static func jsonLength(
    parsing prefix: Span<UInt8>, fileSize: Int
  ) throws(TensorFileError) -> Int {
    var cursor = ByteCursor()
    guard let word = cursor.uint64(in: prefix) else {
      throw TensorFileError(
        .truncated, "safetensors file of \(fileSize) bytes, the header length alone takes 8")
    }
    guard let length = Int(exactly: word), length < dimensionLimit else {
      throw TensorFileError(
        .headerLength, "safetensors header length \(word) exceeds any file", at: .byte(0))
    }
    guard length <= lengthLimit else {
      throw TensorFileError(
        .headerTooLong, "safetensors header length \(length), the limit is \(lengthLimit)",
        at: .byte(0))
    }
    guard length <= fileSize - 8 else {
      throw TensorFileError(
        .headerLength,
        "safetensors header length \(length), but only \(fileSize - 8) bytes follow", at: .byte(0))
    }
    return length
  }

  /// Parses a copy of the JSON part, which stands at byte 8 of a file of `fileSize` bytes.
  public init(json: Span<UInt8>, fileSize: Int) throws(TensorFileError) {
    try self.init(json: json.copy(0..<json.count), fileSize: fileSize)
  }

  /// Parses the JSON part, which stands at byte 8 of a file of `fileSize` bytes.
  public init(
    json: [UInt8], fileSize: Int, tensorLimit: Int = Self.tensorLimit
  ) throws(TensorFileError) {
    guard json.first == 0x7B else {
      throw TensorFileError(
        .headerStart, "safetensors header does not begin with \"{\"", at: .byte(8))
    }
    let document: JSONDocument
    do throws(JSONError) {
      document = try JSONDocument(json)
    } catch {
      throw TensorFileError(json: error, offset: 8)
    }
    guard document.root.count <= tensorLimit else {
      throw TensorFileError(
        .tooManyTensors, "\(document.root.count) tensors, the limit is \(tensorLimit)")
    }
    var tensors: [TensorInfo] = []
    tensors.reserveCapacity(document.root.count)
    var metadata: [UTF8Name: String] = [:]
    for (name, entry) in document.root.children {
      if name == Self.metadataKey {
        metadata = try Self.metadata(entry)
      } else {
        tensors.append(try Self.tensor(name, entry))
      }
    }
    tensors.sort { left, right in
      (left.range.lowerBound, left.range.upperBound) < (
        right.range.lowerBound, right.range.upperBound
      )
    }
    dataStart = 8 + json.count
    try Self.checkCoverage(tensors, of: fileSize - dataStart)
    self.tensors = tensors
    self.metadata = metadata
  }

  /// The entries of `__metadata__`; null, which some writers put there, is none.
  private static func metadata(_ entry: JSONValue) throws(TensorFileError) -> [UTF8Name: String] {
    if entry.isNull { return [:] }
    guard entry.kind == .object else {
      throw TensorFileError(
        .metadata, "__metadata__ is \(entry.kind.rawValue), not an object",
        at: .byte(8 + entry.byteRange.lowerBound))
    }
    guard entry.count <= metadataLimit else {
      throw TensorFileError(
        .tooMuchMetadata, "__metadata__ has \(entry.count) keys, the limit is \(metadataLimit)",
        at: .byte(8 + entry.byteRange.lowerBound))
    }
    var metadata: [UTF8Name: String] = [:]
    for (key, value) in entry.children {
      guard let text = value.string else {
        throw TensorFileError(
          .metadata, "__metadata__ value is \(value.kind.rawValue), not a string", at: .key(key))
      }
      metadata[UTF8Name(key)] = text
    }
    return metadata
  }

  private static func tensor(
    _ name: String, _ entry: JSONValue
  ) throws(TensorFileError) -> TensorInfo {
    guard name.utf8.count <= nameLimit else {
      throw TensorFileError(
        .nameTooLong, "tensor name of \(name.utf8.count) bytes, the limit is \(nameLimit)")
    }
    guard entry.kind == .object, let type = entry["dtype"]?.string,
      let dimensions = entry["shape"], dimensions.kind == .array,
      let offsets = entry["data_offsets"], offsets.kind == .array, offsets.count == 2
    else {
      throw TensorFileError(
        .entry, "expected {dtype: string, shape: [...], data_offsets: [begin, end]}", at: .key(name)
      )
    }
    guard let scalar = ScalarType(rawValue: type) else {
      throw TensorFileError(.scalarType, "unknown dtype \(quoted(type))", at: .key(name))
    }
    guard dimensions.count <= rankLimit else {
      throw TensorFileError(
        .rank, "\(dimensions.count) dimensions, the limit is \(rankLimit)", at: .key(name))
    }
    var shape: [Int] = []
    for (_, dimension) in dimensions.children {
      guard let size = dimension.integer, (0...dimensionLimit).contains(size) else {
        throw TensorFileError(
          .shape, "a dimension is not an integer in 0...2^48", at: .key(name))
      }
      shape.append(size)
    }
    let bounds = offsets.children.map { $0.value.integer }
    guard let begin = bounds[0], let end = bounds[1], begin >= 0, end >= begin else {
      throw TensorFileError(
        .offsets, "data_offsets are not integers with 0 <= begin <= end", at: .key(name))
    }
    guard let bits = shape.checkedProduct()?.multiplied(by: scalar.bitWidth) else {
      throw TensorFileError(.shape, "shape \(shape) overflows", at: .key(name))
    }
    guard bits.isMultiple(of: 8), bits / 8 == end - begin else {
      throw TensorFileError(
        .shape,
        "shape \(shape) of \(type) takes \(bits) bits, data_offsets hold \(end - begin) bytes",
        at: .key(name))
    }
    return TensorInfo(name: name, scalar: scalar, shape: shape, range: begin..<end)
  }

  /// Every byte of the data belongs to exactly one tensor.
  private static func checkCoverage(
    _ tensors: [TensorInfo], of length: Int
  ) throws(TensorFileError) {
    var end = 0
    for tensor in tensors {
      guard tensor.range.lowerBound == end else {
        let problem =
          tensor.range.lowerBound < end ? "overlaps the tensor before it" : "leaves a gap"
        throw TensorFileError(
          .coverage, "data begins at \(tensor.range.lowerBound), expected \(end): it \(problem)",
          at: .key(tensor.name))
      }
      end = tensor.range.upperBound
    }
    guard end == length else {
      let code: TensorFileCode = end > length ? .truncated : .coverage
      throw TensorFileError(
        code, "tensors take \(end) bytes of data, the file has \(length)", at: .byte(length))
    }
  }
}

extension TensorFileError {
  /// A JSON error inside a file whose JSON begins at `offset`.
  init(json error: JSONError, offset: Int) {
    var place: Location?
    if case .byte(let byte) = error.location { place = .byte(byte + offset) }
    self.init(
      TensorFileCode("invalid_json", error.failureClass), error.detail, at: place, in: error.path)
  }
}
