import ByteIO

/// One record of the central directory.
struct ZipDirectoryRecord {
  let name: String
  /// The name as it is stored, for comparison with the local header.
  let nameRange: Range<Int>
  let flags: UInt16
  let method: UInt16
  let crc: UInt32
  let storedSize: Int
  let size: Int
  /// Where the local header begins.
  let offset: Int

  var isDeflated: Bool { method == 8 }
  /// Bit 3: sizes follow the data in a descriptor, and the local header may leave them 0.
  var hasDescriptor: Bool { flags & 0x0008 != 0 }
}

/// The central directory of a zip archive.
enum ZipDirectory {
  /// Bits 1 and 2 tell deflate's effort, 3 a data descriptor, 11 a UTF-8 name.
  private static let knownFlags: UInt16 = 0x080E

  /// All records, as many as `end` counts, filling the directory exactly.
  static func records(
    of end: ZipEnd, in bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) -> [ZipDirectoryRecord] {
    let directory = bytes.extracting(0..<end.directory.upperBound)
    var records: [ZipDirectoryRecord] = []
    var cursor = ByteCursor(at: end.directory.lowerBound)
    while cursor.offset < end.directory.upperBound, records.count < end.count {
      records.append(try record(at: &cursor, in: directory, limits: limits))
    }
    guard records.count == end.count, cursor.offset == end.directory.upperBound else {
      throw TensorFileError(
        .zipStructure, "the end record counts \(end.count) zip members, the directory holds others",
        at: .byte(cursor.offset))
    }
    return records
  }

  private static func record(
    at cursor: inout ByteCursor, in bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) -> ZipDirectoryRecord {
    let start = cursor.offset
    let place = TensorFileError.Location.byte(start)
    guard cursor.range(46, in: bytes) != nil, bytes.starts(with: ZipRecord.central, at: start)
    else {
      throw TensorFileError(.zipStructure, "expected a central directory record", at: place)
    }
    let flags: UInt16 = bytes.littleEndian(at: start + 8)
    let method: UInt16 = bytes.littleEndian(at: start + 10)
    let crc: UInt32 = bytes.littleEndian(at: start + 16)
    let narrowStored: UInt32 = bytes.littleEndian(at: start + 20)
    let narrowSize: UInt32 = bytes.littleEndian(at: start + 24)
    let nameLength: UInt16 = bytes.littleEndian(at: start + 28)
    let extraLength: UInt16 = bytes.littleEndian(at: start + 30)
    let commentLength: UInt16 = bytes.littleEndian(at: start + 32)
    let disk: UInt16 = bytes.littleEndian(at: start + 34)
    let narrowOffset: UInt32 = bytes.littleEndian(at: start + 42)
    guard Int(nameLength) <= limits.zipName else {
      throw TensorFileError(
        .limit, "zip member name of \(nameLength) bytes, the limit is \(limits.zipName)", at: place)
    }
    guard let name = cursor.range(Int(nameLength), in: bytes),
      let extra = cursor.range(Int(extraLength), in: bytes),
      cursor.range(Int(commentLength), in: bytes) != nil
    else {
      throw TensorFileError(.zipStructure, "central directory record is cut short", at: place)
    }
    try check(flags: flags, method: method, disk: disk, at: place)
    let text = try memberName(name, flags: flags, in: bytes, at: place)
    var wide = try ZipRecord.zip64(extra, in: bytes, at: start)
    let fields = bytes.extracting(0..<extra.upperBound)
    let size = try ZipRecord.widen(narrowSize, from: &wide, in: fields, at: start)
    let storedSize = try ZipRecord.widen(narrowStored, from: &wide, in: fields, at: start)
    let offset = try ZipRecord.widen(narrowOffset, from: &wide, in: fields, at: start)
    guard method == 8 || size == storedSize else {
      throw TensorFileError(
        .zipStructure, "stored zip member has sizes \(storedSize) and \(size)", at: place)
    }
    return ZipDirectoryRecord(
      name: text, nameRange: name, flags: flags, method: method, crc: crc, storedSize: storedSize,
      size: size, offset: offset)
  }

  private static func check(
    flags: UInt16, method: UInt16, disk: UInt16, at place: TensorFileError.Location
  ) throws(TensorFileError) {
    guard flags & 0x2041 == 0 else {
      throw TensorFileError(.zipFeature, "zip member is encrypted", at: place)
    }
    guard flags & ~knownFlags == 0 else {
      throw TensorFileError(
        .zipFeature,
        "zip member has flags 0x\(String(flags, radix: 16)), of which some are unknown",
        at: place)
    }
    guard method == 0 || method == 8 else {
      throw TensorFileError(
        .zipFeature, "zip member is compressed by method \(method), expected stored or deflated",
        at: place)
    }
    guard disk == 0 else {
      throw TensorFileError(.zipFeature, "zip member is on another disk", at: place)
    }
  }

  /// The name as text: relative, without empty or dot components, backslash or control characters.
  private static func memberName(
    _ range: Range<Int>, flags: UInt16, in bytes: Span<UInt8>, at place: TensorFileError.Location
  ) throws(TensorFileError) -> String {
    let raw = bytes.copy(range)
    guard let name = String(validating: raw, as: UTF8.self),
      flags & 0x0800 != 0 || raw.allSatisfy({ $0 < 0x80 })
    else {
      throw TensorFileError(
        .zipName, "zip member name is not UTF-8, or not marked as such", at: place)
    }
    guard !hasLongCombiningRun(name) else {
      throw TensorFileError(
        .limit,
        "zip member name with more than \(combiningRunLimit) combining characters in a row",
        at: place)
    }
    let isPlain = name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      DirectoryHandle.isPlainName(String($0))
    }
    guard isPlain else {
      throw TensorFileError(
        .zipName, "zip member name \(quoted(name)) is not a plain relative path", at: place)
    }
    return name
  }
}

/// The header before a member's data, which has to say what the directory says.
enum ZipLocalHeader {
  /// Where the data of `record` is, and where its descriptor, or else the data, ends.
  static func data(
    of record: ZipDirectoryRecord, before limit: Int, in bytes: Span<UInt8>
  ) throws(TensorFileError) -> (range: Range<Int>, next: Int) {
    let start = record.offset
    let members = bytes.extracting(0..<limit)
    let place = TensorFileError.Location.byte(start)
    var cursor = ByteCursor(at: start)
    guard cursor.range(30, in: members) != nil, members.starts(with: ZipRecord.local, at: start)
    else { throw TensorFileError(.zipStructure, "expected a local zip header", at: place) }
    let flags: UInt16 = members.littleEndian(at: start + 6)
    let method: UInt16 = members.littleEndian(at: start + 8)
    let crc: UInt32 = members.littleEndian(at: start + 14)
    let narrowStored: UInt32 = members.littleEndian(at: start + 18)
    let narrowSize: UInt32 = members.littleEndian(at: start + 22)
    let nameLength: UInt16 = members.littleEndian(at: start + 26)
    let extraLength: UInt16 = members.littleEndian(at: start + 28)
    guard let name = cursor.range(Int(nameLength), in: members),
      let extra = cursor.range(Int(extraLength), in: members),
      let data = cursor.range(record.storedSize, in: members)
    else {
      throw TensorFileError(
        .zipStructure, "zip member does not fit before the directory", at: place)
    }
    guard flags == record.flags, method == record.method,
      bytes.copy(name) == bytes.copy(record.nameRange)
    else {
      throw TensorFileError(
        .zipStructure, "local zip header and central directory differ", at: place)
    }
    var wide = try ZipRecord.zip64(extra, in: members, at: start)
    let fields = members.extracting(0..<extra.upperBound)
    let size = try ZipRecord.widen(narrowSize, from: &wide, in: fields, at: start)
    let storedSize = try ZipRecord.widen(narrowStored, from: &wide, in: fields, at: start)
    let isDeferred = record.hasDescriptor && crc == 0 && size == 0 && storedSize == 0
    guard
      isDeferred || (crc == record.crc && size == record.size && storedSize == record.storedSize)
    else {
      throw TensorFileError(
        .zipStructure, "sizes or CRC-32 of the local zip header and the directory differ", at: place
      )
    }
    if record.hasDescriptor { try skipDescriptor(of: record, at: &cursor, in: members) }
    return (data, cursor.offset)
  }

  /// Passes the descriptor after the data: with or without signature, with 32 or 64-bit sizes.
  private static func skipDescriptor(
    of record: ZipDirectoryRecord, at cursor: inout ByteCursor, in bytes: Span<UInt8>
  ) throws(TensorFileError) {
    let start = cursor.offset
    for isSigned in [true, false] {
      for isWide in [false, true] {
        var end = ByteCursor(at: start)
        if isSigned {
          guard end.bytes(4, in: bytes) == ZipRecord.descriptor else { continue }
        }
        guard end.uint32(in: bytes) == record.crc else { continue }
        let sizes = [record.storedSize, record.size]
        let isMatch = sizes.allSatisfy { size in
          isWide
            ? end.uint64(in: bytes) == UInt64(size) : end.uint32(in: bytes).map(Int.init) == size
        }
        // what follows a descriptor is the next header or the directory, which settles its width
        guard isMatch,
          end.offset == bytes.count || bytes.starts(with: ZipRecord.local, at: end.offset)
        else { continue }
        cursor = end
        return
      }
    }
    throw TensorFileError(
      .zipStructure, "zip data descriptor does not say what the directory says", at: .byte(start))
  }
}
