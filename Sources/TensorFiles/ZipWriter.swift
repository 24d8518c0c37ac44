import ByteIO
import Zlib

/// Writes zip archives of stored members: no time, no host, the same bytes for the same members.
struct ZipWriter {
  private var writer = ByteWriter()
  private var directory = ByteWriter()
  private var count: UInt16 = 0
  /// 1 January 1980, the earliest that zip can say.
  private static let date: UInt16 = 0x21

  /// Adds a member whose data begins at a multiple of `alignment`.
  ///
  /// Fails with `.unwritable` past 65,535 members or 4 GiB, where zip64 would begin.
  mutating func add(
    _ name: String, _ data: [UInt8], alignment: Int = 1
  ) throws(TensorFileError) {
    let nameBytes = Array(name.utf8)
    let start = writer.count
    let padding = Self.padding(after: start + 30 + nameBytes.count, to: alignment)
    guard count < .max, nameBytes.count <= Int(UInt16.max),
      let offset = UInt32(exactly: start), let size = UInt32(exactly: data.count),
      size < .max, UInt32(exactly: start + data.count + (1 << 20)) != nil
    else {
      throw TensorFileError(
        .unwritable, "more members or bytes than a zip archive without zip64 holds",
        at: .key(name))
    }
    let crc = CRC32.of(data.span)
    let flags: UInt16 = nameBytes.allSatisfy { $0 < 0x80 } ? 0 : 0x0800
    writer.append(contentsOf: ZipRecord.local)
    Self.appendCommon(to: &writer, flags, crc, size, nameBytes.count)
    writer.append(UInt16(padding))
    writer.append(contentsOf: nameBytes)
    if padding > 0 {
      // the extra field that torch pads with
      writer.append(contentsOf: Array("FB".utf8))
      writer.append(UInt16(padding - 4))
      writer.append(contentsOf: [UInt8](repeating: 0x5A, count: padding - 4))
    }
    writer.append(contentsOf: data)
    directory.append(contentsOf: ZipRecord.central)
    directory.append(UInt16(20))
    Self.appendCommon(to: &directory, flags, crc, size, nameBytes.count)
    directory.append(UInt16(0))  // extra field
    directory.append(UInt16(0))  // comment
    directory.append(UInt16(0))  // disk
    directory.append(UInt16(0))  // internal attributes
    directory.append(UInt32(0))  // external attributes
    directory.append(offset)
    directory.append(contentsOf: nameBytes)
    count += 1
  }

  /// The whole archive.
  var bytes: [UInt8] {
    var result = writer
    result.append(contentsOf: directory.bytes)
    result.append(contentsOf: ZipRecord.end)
    result.append(UInt32(0))  // disks
    result.append(count)
    result.append(count)
    result.append(UInt32(directory.count))
    result.append(UInt32(writer.count))
    result.append(UInt16(0))  // comment
    return result.bytes
  }

  /// From the version needed to the length of the name, equal in both headers.
  private static func appendCommon(
    to writer: inout ByteWriter, _ flags: UInt16, _ crc: UInt32, _ size: UInt32, _ nameLength: Int
  ) {
    writer.append(UInt16(20))
    writer.append(flags)
    writer.append(UInt16(0))  // stored
    writer.append(UInt16(0))  // time
    writer.append(date)
    writer.append(crc)
    writer.append(size)
    writer.append(size)
    writer.append(UInt16(nameLength))
  }

  /// Length of an extra field, 0 or at least 4, that brings `position` to `alignment`.
  private static func padding(after position: Int, to alignment: Int) -> Int {
    let missing = (alignment - position % alignment) % alignment
    return missing == 0 || missing >= 4 ? missing : missing + alignment
  }
}
