public import ByteIO

/// An open safetensors file: the header parsed, the data read on demand.
public final class SafetensorsFile: Sendable {
  public let file: PositionalFile
  public let header: SafetensorsHeader
  private let json: [UInt8]
  private let indexByName: [UTF8Name: Int]

  public var path: String { file.path }

  /// Length word and JSON as they stand in the file.
  public var headerBytes: [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt64(json.count))
    writer.append(contentsOf: json)
    return writer.bytes
  }

  /// Opens the file at `path` and checks its header.
  public convenience init(path: String) throws(TensorFileError) {
    let file: PositionalFile
    do throws(FileError) {
      file = try PositionalFile(path: path)
    } catch {
      throw TensorFileError(error)
    }
    try self.init(file)
  }

  /// Checks the header of `file`.
  public init(_ file: PositionalFile) throws(TensorFileError) {
    do throws(TensorFileError) {
      let prefix = try Self.bytes(of: file, at: 0, count: min(512, file.size))
      if let error = TensorFileError.misnamedSafetensors(prefix.span) { throw error }
      let length = try SafetensorsHeader.jsonLength(parsing: prefix.span, fileSize: file.size)
      json = try Self.bytes(of: file, at: 8, count: length)
      header = try SafetensorsHeader(json: json, fileSize: file.size)
    } catch {
      throw error.located(in: file.path)
    }
    self.file = file
    var indexByName: [UTF8Name: Int] = [:]
    indexByName.reserveCapacity(header.tensors.count)
    for (index, tensor) in header.tensors.enumerated() {
      indexByName[UTF8Name(tensor.name)] = index
    }
    self.indexByName = indexByName
  }

  /// The tensor called `name`, nil where the file has none.
  public subscript(name: String) -> TensorInfo? {
    indexByName[UTF8Name(name)].map { header.tensors[$0] }
  }

  /// Fills `buffer` with the tensor's bytes from `offset` on.
  public func read(
    _ tensor: TensorInfo, at offset: Int = 0, into buffer: UnsafeMutableRawBufferPointer
  ) throws(TensorFileError) {
    precondition(offset >= 0 && buffer.count <= tensor.range.count - offset)
    do throws(FileError) {
      try unsafe file.read(
        at: header.dataStart + tensor.range.lowerBound + offset, into: buffer)
    } catch {
      throw TensorFileError(error)
    }
  }

  /// The whole tensor, for small ones.
  public func array(_ tensor: TensorInfo) throws(TensorFileError) -> TensorArray {
    let bytes = try Self.bytes(
      of: file, at: header.dataStart + tensor.range.lowerBound, count: tensor.range.count)
    return TensorArray(scalar: tensor.scalar, shape: tensor.shape, bytes: bytes)
  }

  private static func bytes(
    of file: PositionalFile, at offset: Int, count: Int
  ) throws(TensorFileError) -> [UInt8] {
    do throws(FileError) {
      return try file.bytes(at: offset, count: count)
    } catch {
      throw TensorFileError(error)
    }
  }
}

/// The bytes of a safetensors file that holds `arrays`, for small ones.
public func encodeSafetensors(
  _ arrays: [(name: String, array: TensorArray)], metadata: [UTF8Name: String] = [:]
) -> [UInt8] {
  let header = SafetensorsHeader(
    layingOut: arrays.map { ($0.name, $0.array.scalar, $0.array.shape) }, metadata: metadata)
  return arrays.reduce(into: header.encoded) { $0 += $1.array.bytes }
}
