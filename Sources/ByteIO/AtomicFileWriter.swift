import CFileSystem

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Writes `bytes` to `path` so that the file is there whole or not at all.
///
/// An existing file is refused with `.exists` unless `replacing`, and with `.unsafePath` one that is, or
/// lies in, one of `inputs`.
public func writeFileAtomically(
  _ bytes: Span<UInt8>, to path: String, replacing: Bool = false, inputs: [String] = []
) throws(FileError) {
  let file = try AtomicFile(path: path, replacing: replacing, inputs: inputs)
  try file.write(bytes, at: 0)
  try file.commit()
}

/// A file that appears under its name whole or not at all, written in any order.
///
/// The bytes go to a fresh sibling, are synced, and the sibling takes the name. Without a commit there
/// is no file.
public final class AtomicFile {
  public let path: String
  private let parent: String
  private let sibling: String
  private let isReplacing: Bool
  private var descriptor: CInt

  /// Opens the sibling. An existing file is refused with `.exists` unless `replacing`, and with
  /// `.unsafePath` one that is, or lies in, one of `inputs`.
  public init(
    path: String, replacing: Bool = false, inputs: [String] = []
  ) throws(FileError) {
    let (parent, name) = splitPath(path)
    try Self.check(path, in: parent, replacing: replacing, inputs: inputs)
    self.path = path
    self.parent = parent
    isReplacing = replacing
    sibling = parent + "/" + StagingDirectory.temporaryName(for: name)
    descriptor = unsafe open(
      sibling, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(0o666))
    guard descriptor >= 0 else { throw FileError.system("create", sibling) }
    _ = FileLock.acquire(descriptor, isExclusive: true)
  }

  deinit { discard() }

  /// Writes all of `bytes` from `offset` on, going on after short writes and interruptions.
  public func write(_ bytes: Span<UInt8>, at offset: Int) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.extracting(done..<bytes.count).withUnsafeBytes { rest in
        unsafe pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError.system("write", path)
      }
      done += count
    }
  }

  /// Makes the content durable and gives the file its name.
  public func commit() throws(FileError) {
    guard leank_fsync(descriptor) == 0 else { throw FileError.system("fsync", path) }
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else {
      let error = FileError.system("close", path)
      unsafe unlink(sibling)
      throw error
    }
    if isReplacing {
      guard unsafe rename(sibling, path) == 0 else {
        let error = FileError.system("rename", path)
        unsafe unlink(sibling)
        throw error
      }
    } else {
      // Unlike plain rename, both fail when another run was first.
      if unsafe leank_rename_exclusive(AT_FDCWD, sibling, path) != 0 {
        let canLink = errno == EINVAL || errno == ENOSYS || errno == ENOTSUP
        let linked = canLink ? unsafe link(sibling, path) : -1
        let error = linked == 0 ? nil : FileError.system(canLink ? "link" : "rename", path)
        unsafe unlink(sibling)
        if let error { throw error }
      }
    }
    do throws(FileError) {
      try syncDirectory(parent)
    } catch {
      throw FileError.complete(path, but: error)
    }
  }

  private func discard() {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unsafe unlink(sibling)
    descriptor = -1
  }

  private static func check(
    _ path: String, in parent: String, replacing: Bool, inputs: [String]
  ) throws(FileError) {
    var status = stat()
    if unsafe lstat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw FileError(.unsafePath, "output exists and is not a regular file", in: path)
      }
      guard replacing else {
        throw FileError(.exists, "output exists, use --force to replace it", in: path)
      }
      let folder = try DirectoryHandle(path: parent)
      for input in inputs {
        var other = stat()
        guard unsafe stat(input, &other) == 0 else { continue }
        let identity = FileIdentity(other)
        guard
          !identity.isSameFile(as: FileIdentity(status)),
          !identity.isSameFile(as: folder.identity)
        else {
          throw FileError(.unsafePath, "output is a file of the input \(quoted(input))", in: path)
        }
      }
    }
  }
}

extension FileError {
  /// The failure to make the name of `path`, which is there and complete, durable.
  static func complete(_ path: String, but error: FileError) -> FileError {
    FileError(
      error.code,
      "output is complete, but a power failure now may undo its name, since its directory could not "
        + "be synced (\(error.detail))", in: path)
  }
}

/// Writes all of `bytes`, going on after short writes and interruptions.
public func writeAll(
  _ bytes: Span<UInt8>, to descriptor: CInt, path: String
) throws(FileError) {
  var done = 0
  while done < bytes.count {
    let count = unsafe bytes.extracting(done..<bytes.count).withUnsafeBytes { rest in
      unsafe write(descriptor, rest.baseAddress, rest.count)
    }
    if count < 0 {
      if errno == EINTR { continue }
      throw FileError.system("write", path)
    }
    done += count
  }
}

/// Makes the names in the directory at `path` durable.
public func syncDirectory(_ path: String) throws(FileError) {
  let directory = try DirectoryHandle(path: path)
  guard leank_fsync(directory.descriptor) == 0 else { throw FileError.system("fsync", path) }
}

/// Parent directory and last component of `path`; trailing slashes do not count.
public func splitPath(_ path: String) -> (parent: String, name: String) {
  // By scalars: a slash before a combining mark is no character of its own.
  var trimmed = Substring(path).unicodeScalars
  while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
  guard let slash = trimmed.lastIndex(of: "/") else { return (".", String(trimmed)) }
  let parent = trimmed[..<slash]
  return (parent.isEmpty ? "/" : String(parent), String(trimmed[trimmed.index(after: slash)...]))
}
