#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// What tells one state of a file from another: which file it is, how long, when last changed.
public struct FileIdentity: Sendable, Hashable {
  public let device: UInt64
  public let inode: UInt64
  public let size: Int
  public let modified: [Int]
  public let changed: [Int]

  /// Whether two paths lead to one file, whatever its content.
  public func isSameFile(as other: FileIdentity) -> Bool {
    device == other.device && inode == other.inode
  }

  init(_ status: stat) {
    device = UInt64(truncatingIfNeeded: status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int(status.st_size)
    #if canImport(Darwin)
      modified = [status.st_mtimespec.tv_sec, status.st_mtimespec.tv_nsec]
      changed = [status.st_ctimespec.tv_sec, status.st_ctimespec.tv_nsec]
    #else
      modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
      changed = [status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
    #endif
  }
}

/// A regular file, opened once and read at explicit offsets into buffers of our own.
///
/// Never mapped: a mapped file that shrinks kills the process. A short read means that the file
/// changed, and is an error of that class.
public final class PositionalFile: Sendable {
  /// The path as the user knows it.
  public let path: String
  /// State of the file when it was opened.
  public let identity: FileIdentity
  /// For system calls on the open file, such as `copy_file_range`; owned by this object.
  public let descriptor: CInt

  public var size: Int { identity.size }

  /// Opens `path`, following symbolic links. Fails unless it leads to a regular file; a FIFO or a
  /// device is refused without waiting for it.
  public convenience init(path: String) throws(FileError) {
    try self.init(descriptor: unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), path: path)
  }

  /// Opens the entry `name` of `directory`, which has to be one path component.
  public convenience init(name: String, in directory: DirectoryHandle) throws(FileError) {
    let path = directory.path + "/" + name
    guard DirectoryHandle.isPlainName(name) else {
      throw FileError(
        .fileName, "file name \(quoted(name)) is not one path component", in: directory.path)
    }
    let descriptor = unsafe openat(directory.descriptor, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    try self.init(descriptor: descriptor, path: path)
  }

  /// Takes over `descriptor`, which is negative with `errno` set where nothing could be opened.
  init(descriptor: CInt, path: String) throws(FileError) {
    guard descriptor >= 0 else { throw FileError.system("open", path) }
    let status: stat
    do throws(FileError) {
      status = try fileStatus(of: descriptor, path)
    } catch {
      close(descriptor)
      throw error
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw FileError(.notRegular, "not a regular file", in: path)
    }
    self.descriptor = descriptor
    self.path = path
    identity = FileIdentity(status)
  }

  deinit { close(descriptor) }

  /// Fills `buffer` from byte `offset` on. Fails with `.changed` when the file ends first.
  public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) {
    var done = 0
    while done < buffer.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = unsafe pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError.system("read", path)
      }
      guard count > 0 else {
        throw FileError(
          .changed, "file ended while it was read, it had \(size) bytes when opened",
          at: .byte(offset + done), in: path)
      }
      done += count
    }
  }

  /// The `count` bytes from `offset` on; both have been checked against `size`.
  public func bytes(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
    var failure: FileError?
    let result = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(FileError) {
        try unsafe read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        initialized = count
      } catch {
        failure = error
        initialized = 0
      }
    }
    if let failure { throw failure }
    return result
  }

  /// The whole file. Fails with `.tooLarge` before allocating when it exceeds `limit` bytes.
  public func contents(limit: Int) throws(FileError) -> [UInt8] {
    guard size <= limit else {
      throw FileError(.tooLarge, "\(size) bytes, the limit is \(limit)", in: path)
    }
    return try bytes(at: 0, count: size)
  }

  /// Fails with `.changed` when the file is no longer in the state it was opened in.
  public func checkUnchanged() throws(FileError) {
    guard FileIdentity(try fileStatus(of: descriptor, path)) == identity else {
      throw FileError(.changed, "file changed while it was read", in: path)
    }
  }
}

/// What the system knows of the open file `descriptor`.
func fileStatus(of descriptor: CInt, _ path: String) throws(FileError) -> stat {
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0 else { throw FileError.system("fstat", path) }
  return status
}

/// The whole content of the regular file at `path`, or of standard input for `-`.
///
/// Fails with `.tooLarge` once more than `limit` bytes are there.
public func readFile(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
  guard path == "-" else {
    let file = try PositionalFile(path: path)
    let bytes = try file.contents(limit: limit)
    try file.checkUnchanged()
    return bytes
  }
  return try readStream(0, path: path, limit: limit)
}

/// All bytes up to the end of the stream `descriptor`, which may be a pipe.
func readStream(_ descriptor: CInt, path: String, limit: Int) throws(FileError) -> [UInt8] {
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = unsafe chunk.withUnsafeMutableBytes {
      unsafe read(descriptor, $0.baseAddress, $0.count)
    }
    if count < 0 {
      if errno == EINTR { continue }
      throw FileError.system("read", path)
    }
    guard count > 0 else { return bytes }
    guard count <= limit - bytes.count else {
      throw FileError(.tooLarge, "more than \(limit) bytes on standard input", in: path)
    }
    bytes.append(contentsOf: chunk[..<count])
  }
}
