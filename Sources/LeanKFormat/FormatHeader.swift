import ByteIO
import Zlib

/// Version of the format that a file was written in.
public struct FormatVersion: Sendable, Hashable, CustomStringConvertible {
  public let major: Int
  public let minor: Int

  /// The version that this code writes.
  public static let current = FormatVersion(major: 1, minor: 0)

  public var description: String { "\(major).\(minor)" }
}

/// The 64 bytes in front of every `.leank` file.
struct FormatHeader: Sendable, Hashable {
  static let size = 64
  static let signature: [UInt8] = [0x8C, 0x4C, 0x4E, 0x4B, 0x0D, 0x0A, 0x1A, 0x0A]

  var version: FormatVersion
  var fileLength: Int
  var sectionCount: Int
  var contentID: ContentID

  /// Reads the header of a file of `byteCount` bytes, of which `bytes` has the first 64 or all.
  init(parsing bytes: Span<UInt8>, byteCount: Int, limits: FormatLimits) throws(FormatError) {
    try Self.checkSignature(bytes)
    guard bytes.count >= Self.size else {
      throw FormatError(.truncated, "file of \(bytes.count) bytes, the header alone has 64")
    }
    version = FormatVersion(
      major: Int(bytes.littleEndian(at: 8) as UInt16),
      minor: Int(bytes.littleEndian(at: 10) as UInt16))
    guard version.major == FormatVersion.current.major else {
      throw FormatError(
        .majorVersion,
        "file is of format version \(version), this leank reads version 1; needs leank "
          + "\(version.major)", at: .byte(8))
    }
    guard CRC32.of(bytes.extracting(0..<60)) == bytes.littleEndian(at: 60) as UInt32 else {
      throw FormatError(.headerChecksum, "header does not match its checksum", at: .byte(60))
    }
    let headerSize: UInt32 = bytes.littleEndian(at: 12)
    guard headerSize == UInt32(Self.size) else {
      throw FormatError(.headerSize, "header_size is \(headerSize), expected 64", at: .byte(12))
    }
    let fileLength: UInt64 = bytes.littleEndian(at: 16)
    let sectionCount: UInt32 = bytes.littleEndian(at: 24)
    guard fileLength <= UInt64(limits.fileBytes) else {
      throw FormatError(
        .limit, "file_length is \(fileLength), the limit is \(limits.fileBytes)", at: .byte(16))
    }
    self.fileLength = Int(fileLength)
    guard self.fileLength <= byteCount else {
      throw FormatError(
        .truncated, "file ends after \(byteCount) bytes, file_length is \(fileLength)",
        at: .byte(byteCount))
    }
    guard self.fileLength == byteCount else {
      throw FormatError(
        .trailingBytes, "file has \(byteCount) bytes, file_length is \(fileLength)",
        at: .byte(self.fileLength))
    }
    guard sectionCount <= UInt32(limits.sections) else {
      throw FormatError(
        .limit, "section_count is \(sectionCount), the limit is \(limits.sections)", at: .byte(24))
    }
    self.sectionCount = Int(sectionCount)
    contentID = ContentID(bytes: bytes.copy(28..<60))
  }

  init(fileLength: Int, sectionCount: Int, contentID: ContentID) {
    version = .current
    self.fileLength = fileLength
    self.sectionCount = sectionCount
    self.contentID = contentID
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.append(contentsOf: Self.signature)
    writer.append(UInt16(version.major))
    writer.append(UInt16(version.minor))
    writer.append(UInt32(Self.size))
    writer.append(UInt64(fileLength))
    writer.append(UInt32(sectionCount))
    writer.append(contentsOf: contentID.bytes)
    writer.append(CRC32.of(writer.bytes.span))
    return writer.bytes
  }
}

// MARK: - What else the file may be

extension FormatHeader {
  /// Fails unless the signature stands at the front, and says what the front looks like instead.
  private static func checkSignature(_ bytes: Span<UInt8>) throws(FormatError) {
    if bytes.starts(with: signature) { return }
    for (damaged, reason) in damages where bytes.starts(with: damaged) {
      throw FormatError(
        .transferDamage, "\(reason); fetch the file again in binary mode", at: .byte(0))
    }
    if bytes.starts(with: draft) {
      throw FormatError(
        .majorVersion,
        "a draft of the .leank format from before 1.0, which is not read; import or make the mask again",
        at: .byte(0))
    }
    for (start, name) in others where bytes.starts(with: start) {
      throw FormatError(.signature, "not a .leank file: \(name)", at: .byte(0))
    }
    var isCut = bytes.count < signature.count
    for index in 0..<min(bytes.count, signature.count) where bytes[index] != signature[index] {
      isCut = false
    }
    guard !isCut else {
      throw FormatError(.truncated, "file of \(bytes.count) bytes ends inside the signature")
    }
    throw FormatError(
      .signature, "not a .leank file: it does not begin with 8c 4c 4e 4b 0d 0a 1a 0a", at: .byte(0))
  }

  /// The front of files that were written before the format was settled.
  private static let draft: [UInt8] = [0x89, 0x4C, 0x4E, 0x4B, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Fronts that a transfer makes of the signature.
  private static let damages: [([UInt8], String)] = [
    ([0x8C, 0x4C, 0x4E, 0x4B, 0x0A], "line ends were converted in transfer, CR LF to LF"),
    (
      [0x8C, 0x4C, 0x4E, 0x4B, 0x0D, 0x0D, 0x0A],
      "line ends were converted in transfer, LF to CR LF"
    ),
    (
      [0x8C, 0x4C, 0x4E, 0x4B, 0x0D, 0x0A, 0x1A, 0x0D],
      "line ends were converted in transfer, LF to CR LF"
    ),
    ([0x8C, 0x4C, 0x4E, 0x4B, 0x0D, 0x1A], "line feeds were lost in transfer"),
    ([0x8C, 0x4C, 0x4E, 0x4B, 0x0D, 0x0D, 0x1A], "line feeds were converted to CR in transfer"),
    ([0x0C, 0x4C, 0x4E, 0x4B], "the high bit was lost in transfer"),
    ([0xC2, 0x8C, 0x4C, 0x4E, 0x4B], "the bytes were re-encoded as UTF-8 in transfer"),
    ([0xEF, 0xBF, 0xBD, 0x4C, 0x4E, 0x4B], "the bytes were re-encoded as UTF-8 in transfer"),
    ([0x4C, 0x4E, 0x4B, 0x0D, 0x0A], "the first byte was lost in transfer"),
  ]

  /// Fronts of files that are met in place of a mask.
  private static let others: [([UInt8], String)] = [
    (
      Array("version https://git-lfs".utf8), "it is a Git LFS pointer; fetch the file it stands for"
    ),
    (
      [0x50, 0x4B, 0x03, 0x04],
      "it is a zip archive, such as .pth or .npz; `leank import` reads them"
    ),
    ([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59], "it is a NumPy array; `leank import` reads it"),
    ([0x1F, 0x8B], "it is compressed with gzip"),
    ([0x28, 0xB5, 0x2F, 0xFD], "it is compressed with zstd"),
    (Array("<!".utf8), "it is a web page"),
    (Array("<html".utf8), "it is a web page"),
    (Array("GGUF".utf8), "it is a GGUF model"),
  ]
}
