import ByteIO

/// The end of a zip archive: where the central directory is and how many members it lists.
struct ZipEnd {
  let directory: Range<Int>
  let count: Int

  /// Size of the end record without its comment.
  private static let length = 22
  private static let locatorLength = 20
  private static let length64 = 56

  /// Finds and checks the end records of `bytes`, which they have to close.
  init(parsing bytes: Span<UInt8>, limits: TensorFileLimits) throws(TensorFileError) {
    let offset = try Self.offset(in: bytes)
    var cursor = ByteCursor(at: offset + 4)
    guard let disk = cursor.uint16(in: bytes), let firstDisk = cursor.uint16(in: bytes),
      let countHere = cursor.uint16(in: bytes), let count = cursor.uint16(in: bytes),
      let size = cursor.uint32(in: bytes), let start = cursor.uint32(in: bytes)
    else { throw TensorFileError(.zipStructure, "zip end record is cut short", at: .byte(offset)) }
    guard (disk == 0 && firstDisk == 0) || (disk == .max && firstDisk == .max) else {
      throw TensorFileError(
        .zipFeature, "zip archive spans several disks", at: .byte(offset))
    }
    guard countHere == count else {
      throw TensorFileError(
        .zipStructure, "zip end record has two member counts, \(countHere) and \(count)",
        at: .byte(offset))
    }
    let narrow = Directory(count: Int(count), size: Int(size), start: Int(start), end: offset)
    let wide = try Self.zip64(before: offset, in: bytes)
    if let wide {
      guard count == .max || Int(count) == wide.count, size == .max || Int(size) == wide.size,
        start == .max || Int(start) == wide.start
      else {
        throw TensorFileError(
          .zipStructure, "zip and zip64 end records differ", at: .byte(offset))
      }
    }
    let chosen = wide ?? narrow
    guard chosen.count <= limits.zipMembers else {
      throw TensorFileError(
        .limit, "\(chosen.count) zip members, the limit is \(limits.zipMembers)", at: .byte(offset))
    }
    guard let upper = chosen.start.adding(chosen.size), upper == chosen.end else {
      throw TensorFileError(
        .zipStructure,
        "central directory of \(chosen.size) bytes at \(chosen.start) does not end where the end "
          + "record begins", at: .byte(offset))
    }
    directory = chosen.start..<upper
    self.count = chosen.count
  }

  private struct Directory {
    let count: Int
    let size: Int
    let start: Int
    /// Where the record that describes the directory begins.
    let end: Int
  }

  /// Position of the end record, the only one whose comment runs to the end of the file.
  private static func offset(in bytes: Span<UInt8>) throws(TensorFileError) -> Int {
    var found: Int?
    let lowest = max(0, bytes.count - length - Int(UInt16.max))
    var position = bytes.count - length
    while position >= lowest {
      if bytes.starts(with: ZipRecord.end, at: position) {
        guard found == nil else {
          throw TensorFileError(
            .zipStructure, "a second zip end record stands inside the comment", at: .byte(position))
        }
        let comment: UInt16 = bytes.littleEndian(at: position + 20)
        guard position + length + Int(comment) == bytes.count else {
          throw TensorFileError(
            .zipStructure, "bytes after the zip end record and its comment", at: .byte(position))
        }
        found = position
      }
      position -= 1
    }
    guard let found else {
      throw TensorFileError(
        .truncated, "zip archive without an end record, probably cut short",
        at: .byte(bytes.count))
    }
    return found
  }

  /// What the zip64 records right before the end record say; nil where there are none.
  private static func zip64(
    before end: Int, in bytes: Span<UInt8>
  ) throws(TensorFileError) -> Directory? {
    let locator = end - locatorLength
    guard locator >= 0, bytes.starts(with: ZipRecord.locator64, at: locator) else { return nil }
    var cursor = ByteCursor(at: locator + 4)
    let offset = locator - length64
    guard cursor.uint32(in: bytes) == 0, cursor.uint64(in: bytes) == UInt64(exactly: offset),
      cursor.uint32(in: bytes) == 1, bytes.starts(with: ZipRecord.end64, at: offset)
    else {
      throw TensorFileError(
        .zipStructure, "zip64 locator does not point at a zip64 end record before it",
        at: .byte(locator))
    }
    cursor = ByteCursor(at: offset + 4)
    guard cursor.uint64(in: bytes) == UInt64(length64 - 12), cursor.uint32(in: bytes) != nil,
      cursor.uint32(in: bytes) == 0, cursor.uint32(in: bytes) == 0,
      let countHere = cursor.uint64(in: bytes), let count = cursor.uint64(in: bytes),
      countHere == count, let size = cursor.uint64(in: bytes), let start = cursor.uint64(in: bytes),
      let count = Int(exactly: count), let size = Int(exactly: size),
      let start = Int(exactly: start)
    else {
      throw TensorFileError(.zipStructure, "zip64 end record is malformed", at: .byte(offset))
    }
    return Directory(count: count, size: size, start: start, end: offset)
  }
}
