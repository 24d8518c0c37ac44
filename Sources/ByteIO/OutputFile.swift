import CFileSystem

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A new file in a staging directory, written front to back and made durable at the end.
public final class OutputFile {
  /// The path that messages name: where the file will be once the directory is committed.
  public let path: String
  public private(set) var length = 0
  private(set) var descriptor: CInt
  private var copiesInKernel = true
  private var buffer: [UInt8] = []
  /// Where the bytes begin that the disk was asked for last, and those before it is not asked for yet.
  private var writtenStart = 0
  private var windowStart = 0

  /// Writes end on multiples of this: the page cache then takes pages of a size that is cheap to
  /// get, neither single ones nor ones so large that memory has to be compacted first (4 MiB to
  /// ext4 took several times as long, Linux 6.18).
  public static let pieceSize = 128 << 10
  /// Copying inside the kernel pays where bytes keep their place within a page.
  private static let pageSize = 4096
  /// Most bytes of one system call, so that someone can ask for an end in between.
  private static let chunkSize = 32 << 20
  private static let windowSize = 32 << 20

  init(descriptor: CInt, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { if descriptor >= 0 { closeDescriptor(descriptor) } }

  /// Appends `bytes`.
  public func write(_ bytes: Span<UInt8>) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let count = min(bytes.count - done, restOfPiece)
      try writeAll(bytes.extracting(done..<done + count), to: descriptor, path: path)
      done += count
      length += count
      try writeBehind()
    }
  }

  /// Bytes from the end of what is written to the next multiple of a piece.
  private var restOfPiece: Int { Self.pieceSize - length % Self.pieceSize }

  /// Appends the bytes `range` of `source`, inside the kernel where that is possible.
  ///
  /// Calls `onChunk` with the number of bytes after each chunk, and stops when it returns false.
  /// Fails with `.changed` when the source ends first.
  public func copy(
    _ range: Range<Int>, of source: PositionalFile, onChunk: (Int) -> Bool
  ) throws(FileError) {
    var offset = range.lowerBound
    while offset < range.upperBound {
      let rest = range.upperBound - offset
      let copied: Int
      if (offset - length).isMultiple(of: Self.pageSize) {
        let isAligned = restOfPiece == Self.pieceSize
        copied = try copyChunk(offset, min(rest, isAligned ? Self.chunkSize : restOfPiece), source)
      } else {
        copied = try copyThroughBuffer(offset, rest, source)
      }
      offset += copied
      length += copied
      try writeBehind()
      guard onChunk(copied) else { return }
    }
  }

  /// Gives the file the permissions of `source`; its owner may read it in any case. Nothing on file
  /// systems that keep none.
  public func adoptPermissions(of source: PositionalFile) throws(FileError) {
    let mode = try fileStatus(of: source.descriptor, source.path).st_mode & 0o777
    guard fchmod(descriptor, mode | 0o400) == 0 else {
      if errno == EPERM || errno == ENOTSUP || errno == ENOSYS { return }
      throw FileError.system("chmod", path)
    }
  }

  /// Makes the content durable and closes the file. Nothing is retried: after a failed fsync the
  /// kernel may have dropped the pages.
  public func finish() throws(FileError) {
    try synchronize()
    try close()
  }

  func synchronize() throws(FileError) {
    guard leank_fsync(descriptor) == 0 else { throw FileError.system("fsync", path) }
  }

  func close() throws(FileError) {
    let closed = closeDescriptor(descriptor)
    descriptor = -1
    guard closed == 0 || errno == EINTR else { throw FileError.system("close", path) }
  }

  private func copyChunk(
    _ offset: Int, _ count: Int, _ source: PositionalFile
  ) throws(FileError) -> Int {
    if let copied = try copyInKernel(offset, count, source) { return copied }
    return try copyThroughBuffer(offset, count, source)
  }

  /// Bytes copied, nil where this file system or pair of files does not do it.
  private func copyInKernel(
    _ offset: Int, _ count: Int, _ source: PositionalFile
  ) throws(FileError) -> Int? {
    while copiesInKernel {
      let copied = leank_copy_file_range(
        source.descriptor, Int64(offset), descriptor, Int64(count))
      if copied > 0 { return Int(copied) }
      if copied < 0 {
        switch errno {
        case EINTR: continue
        case EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM: break
        default: throw FileError.system("write", path)
        }
      }
      // Some file systems answer 0 for what they cannot copy; reading tells that from an end.
      copiesInKernel = false
    }
    return nil
  }

  private func copyThroughBuffer(
    _ offset: Int, _ count: Int, _ source: PositionalFile
  ) throws(FileError) -> Int {
    let count = min(count, restOfPiece)
    if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.pieceSize) }
    var failure: FileError?
    unsafe buffer.withUnsafeMutableBytes { buffer in
      do throws(FileError) {
        try unsafe source.read(
          at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    let filled = buffer
    try writeAll(filled.span.extracting(0..<count), to: descriptor, path: path)
    return count
  }

  /// Lets the disk work while the rest is copied, and gives back the memory of what it has
  /// written: a file larger than memory then neither drives everything else out of the page cache
  /// nor waits for pages to be freed.
  private func writeBehind() throws(FileError) {
    guard length - windowStart >= Self.windowSize else { return }
    leank_start_writeback(descriptor, Int64(windowStart), Int64(length - windowStart))
    if windowStart > writtenStart {
      let count = Int64(windowStart - writtenStart)
      guard leank_finish_writeback(descriptor, Int64(writtenStart), count) == 0 else {
        throw FileError.system("write", path)
      }
    }
    writtenStart = windowStart
    windowStart = length
  }
}

/// `close`, which a method of that name hides.
@discardableResult
private func closeDescriptor(_ descriptor: CInt) -> CInt { close(descriptor) }
