import CFileSystem

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The hidden sibling of an output in which many tasks, on one machine or many, gather its files.
///
/// A file gets its name in one step when it is complete and durable, so that one under its name is
/// whole; who is killed leaves at most a temporary file. Tasks share the directory, the commit has
/// it alone, as far as the file system carries locks.
public final class PartsDirectory {
  static let suffix = ".leank-parts"

  public let outputPath: String
  public let path: String
  let directory: DirectoryHandle
  private let parent: DirectoryHandle
  private let name: String
  private let lock: CInt

  /// Opens the directory of the output `outputPath`: `forCommit` alone, else shared, and made where
  /// it is not there.
  ///
  /// Refuses the outputs that `StagingDirectory` refuses, and with `.inUse` a directory whose lock
  /// another process holds.
  public init(
    for outputPath: String, replacing replacement: OutputReplacement = .nothing,
    inputs: [DirectoryHandle], forCommit: Bool
  ) throws(FileError) {
    let (parentPath, outputName) = splitPath(outputPath)
    let parent = try StagingDirectory.check(outputPath, replacing: replacement, inputs: inputs)
    let room = DirectoryHandle.nameLimit - 1 - Self.suffix.utf8.count
    let name = ".\(shortened(outputName, to: room))\(Self.suffix)"
    let path = parentPath + "/" + name
    if !forCommit, unsafe mkdirat(parent.descriptor, name, 0o700) != 0, errno != EEXIST {
      throw FileError.system("mkdir", path)
    }
    let flags = O_NOFOLLOW | O_CLOEXEC
    let directory = try DirectoryHandle(
      descriptor: unsafe openat(parent.descriptor, name, flags | O_RDONLY | O_DIRECTORY), path: path
    )
    let marker = unsafe openat(
      directory.descriptor, StagingDirectory.marker, flags | O_RDWR | O_CREAT | O_NONBLOCK,
      mode_t(0o666))
    guard marker >= 0 else {
      throw FileError.system("create", path + "/" + StagingDirectory.marker)
    }
    var status = stat()
    let isHeld = [marker, directory.descriptor].contains {
      FileLock.acquire($0, isExclusive: forCommit) == .held
    }
    // Whoever has it alone removes it in the end.
    guard !isHeld, unsafe fstatat(parent.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
      FileIdentity(status).isSameFile(as: directory.identity)
    else {
      close(marker)
      throw FileError(
        .inUse, forCommit ? "a task still writes here" : "a commit is going on here", in: path)
    }
    self.outputPath = outputPath
    self.path = path
    self.directory = directory
    self.parent = parent
    self.name = name
    lock = marker
  }

  deinit { close(lock) }

  // MARK: - Files

  /// Content of the file `name`, nil where there is none.
  public func contents(of name: String, limit: Int) throws(FileError) -> [UInt8]? {
    do throws(FileError) {
      return try PositionalFile(name: name, in: directory).contents(limit: limit)
    } catch {
      if error.code == .missing { return nil }
      throw error
    }
  }

  /// Size of the file `name`, nil where there is none.
  public func size(of name: String) throws(FileError) -> Int? {
    do throws(FileError) {
      return try PositionalFile(name: name, in: directory).size
    } catch {
      if error.code == .missing { return nil }
      throw error
    }
  }

  /// Writes the file `name` through `body` and gives it its name when it is durable, in place of
  /// one that is there. What killed tasks left of the same file is removed.
  public func write<Failure: Error>(
    _ name: String, lifting: (FileError) -> Failure,
    _ body: (OutputFile) throws(Failure) -> Void
  ) throws(Failure) {
    let temporary: String
    let file: OutputFile
    do throws(FileError) {
      removeLeftovers(of: name)
      (temporary, file) = try createTemporary(for: name)
    } catch {
      throw lifting(error)
    }
    do throws(Failure) {
      try body(file)
      do throws(FileError) {
        try file.synchronize()
        guard
          unsafe renameat(directory.descriptor, temporary, directory.descriptor, name) == 0
        else { throw FileError.system("rename", path + "/" + name) }
        // Only now: its lock is what keeps other tasks from taking it for a left-over one.
        do throws(FileError) {
          try file.close()
        } catch {
          unsafe unlinkat(directory.descriptor, name, 0)
          throw error
        }
        try synchronize()
      } catch {
        throw lifting(error)
      }
    } catch {
      unsafe unlinkat(directory.descriptor, temporary, 0)
      throw error
    }
  }

  /// Writes the file `name` unless it is there, and returns what is there then.
  public func writeOnce(_ bytes: [UInt8], to name: String) throws(FileError) -> [UInt8] {
    do throws(FileError) {
      try writeFileAtomically(bytes.span, to: path + "/" + name)
    } catch {
      guard error.code == .exists else { throw error }
    }
    return try contents(of: name, limit: 1 << 20) ?? []
  }

  /// Bytes that may still be written to the file system, as far as it tells.
  public func freeSpace() throws(FileError) -> Int { try directory.freeSpace() }

  /// Removes the file `name`, as far as that works.
  public func remove(_ name: String) { unsafe unlinkat(directory.descriptor, name, 0) }

  /// Opens the file `name`, which is there.
  public func file(_ name: String) throws(FileError) -> PositionalFile {
    try PositionalFile(name: name, in: directory)
  }

  /// Removes the directory with all that is in it, as far as that works.
  public func discard() { StagingDirectory.remove(name, from: parent) }

  /// Removes, as far as that works, what killed tasks left of the file `name`.
  private func removeLeftovers(of name: String) {
    guard let leftovers = try? directory.leftovers() else { return }
    let prefix = StagingDirectory.temporaryPrefix(for: name)
    for leftover in leftovers where leftover.name.hasBytes(prefix: prefix) && leftover.use == .free
    {
      try? directory.remove(leftover)
    }
  }

  /// A new file of the file `name`, under a temporary name and locked.
  private func createTemporary(for name: String) throws(FileError) -> (String, OutputFile) {
    for _ in 0..<100 {
      let temporary = StagingDirectory.temporaryName(for: name)
      let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
      let descriptor = unsafe openat(directory.descriptor, temporary, flags, mode_t(0o666))
      guard descriptor >= 0 else {
        if errno == EEXIST { continue }
        throw FileError.system("create", path + "/" + temporary)
      }
      let file = OutputFile(descriptor: descriptor, path: path + "/" + name)
      // Until it is locked, another task takes it for what a killed one left, and removes it.
      var status = stat()
      if FileLock.acquire(descriptor, isExclusive: true) != .held,
        unsafe fstatat(directory.descriptor, temporary, &status, AT_SYMLINK_NOFOLLOW) == 0
      {
        return (temporary, file)
      }
      unsafe unlinkat(directory.descriptor, temporary, 0)
    }
    throw FileError(.exists, "no free name for a temporary file", in: path)
  }

  private func synchronize() throws(FileError) {
    guard leank_fsync(directory.descriptor) == 0 else { throw FileError.system("fsync", path) }
  }
}
