import CFileSystem

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A directory under construction: a hidden sibling of the output that takes the output's name in
/// one step once it is complete.
///
/// A marker file is in it from the first to the last moment, so that left-over staging cannot pass
/// for the finished thing. Dropped without `commit`, the directory is removed.
public final class StagingDirectory {
  /// Name of the marker.
  public static let marker = "LEANK_INCOMPLETE"
  static let infix = ".leank-partial-"

  /// A hidden name, most likely a new one, for what is to be called `name`.
  static func temporaryName(for name: String) -> String {
    temporaryPrefix(for: name) + String(UInt32.random(in: .min ... .max), radix: 36)
  }

  /// What such names begin with: `name` cut where the whole would be too long for a file system.
  static func temporaryPrefix(for name: String) -> String {
    // At most 7 digits follow.
    "." + shortened(name, to: DirectoryHandle.nameLimit - 8 - infix.utf8.count) + infix
  }

  /// Where the output will be.
  public let outputPath: String
  /// Where it is being made.
  public let path: String
  private let parent: DirectoryHandle
  private let directory: DirectoryHandle
  private let name: String
  private let stagingName: String
  private let replacement: OutputReplacement
  /// Open and locked until the commit, which tells a running conversion from left-over staging.
  private var markerFile: OutputFile?
  private var isDone = false

  /// Creates the staging directory for the output `outputPath`.
  ///
  /// Refuses what `check` refuses.
  public init(
    for outputPath: String, replacing replacement: OutputReplacement = .nothing,
    inputs: [DirectoryHandle]
  ) throws(FileError) {
    let (parentPath, name) = splitPath(outputPath)
    let parent = try Self.check(outputPath, replacing: replacement, inputs: inputs)
    self.outputPath = outputPath
    self.name = name
    self.parent = parent
    self.replacement = replacement

    var created: String?
    for _ in 0..<100 where created == nil {
      let candidate = Self.temporaryName(for: name)
      if unsafe mkdirat(parent.descriptor, candidate, 0o700) == 0 {
        created = candidate
      } else if errno != EEXIST {
        throw FileError.system("mkdir", parentPath + "/" + candidate)
      }
    }
    guard let created else {
      throw FileError(.exists, "no free name for a staging directory", in: parentPath)
    }
    stagingName = created
    path = parentPath + "/" + created
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    do throws(FileError) {
      directory = try DirectoryHandle(
        descriptor: unsafe openat(parent.descriptor, created, flags), path: path)
    } catch {
      unsafe unlinkat(parent.descriptor, created, AT_REMOVEDIR)
      throw error
    }
    // The directory's lock covers the moments without a marker, where the file system has such.
    _ = FileLock.acquire(directory.descriptor, isExclusive: true)
    do throws(FileError) {
      let marker = try create(Self.marker)
      _ = FileLock.acquire(marker.descriptor, isExclusive: true)
      try marker.synchronize()
      markerFile = marker
    } catch {
      discard()
      throw error
    }
  }

  deinit { discard() }

  /// A new, empty file called `name`, which is one path component and not there yet.
  public func create(_ name: String) throws(FileError) -> OutputFile {
    let path = outputPath + "/" + name
    guard DirectoryHandle.isPlainName(name) else {
      throw FileError(.fileName, "file name \(quoted(name)) is not one path component", in: path)
    }
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let descriptor = unsafe openat(directory.descriptor, name, flags, mode_t(0o666))
    guard descriptor >= 0 else { throw FileError.system("create", path) }
    return OutputFile(descriptor: descriptor, path: path)
  }

  /// Writes `bytes` to a new file called `name`.
  public func write(_ bytes: [UInt8], to name: String) throws(FileError) {
    let file = try create(name)
    try file.write(bytes.span)
    try file.finish()
  }

  /// Takes a finished file over from `parts`, which keeps it: both names lead to one file.
  public func adopt(_ name: String, from parts: PartsDirectory) throws(FileError) {
    guard
      unsafe linkat(parts.directory.descriptor, name, directory.descriptor, name, 0) != 0
    else { return }
    switch errno {
    case EPERM, ENOTSUP, EMLINK, EXDEV, ENOSYS:
      // No second names here.
      let source = try PositionalFile(name: name, in: parts.directory)
      let file = try create(name)
      try file.copy(0..<source.size, of: source) { _ in true }
      try file.finish()
    default: throw FileError.system("link", outputPath + "/" + name)
    }
  }

  /// Bytes that may still be written to the file system, as far as it tells.
  public func freeSpace() throws(FileError) -> Int { try directory.freeSpace() }

  /// Makes everything durable and gives the directory its name: the one step that makes an output.
  ///
  /// Fails with `.exists` when another run was first; the staging directory is removed then.
  public func commit() throws(FileError) {
    try adoptPermissions()
    try sync(directory)
    // Closed first: some network file systems keep an open file under another name.
    try markerFile?.close()
    guard unsafe unlinkat(directory.descriptor, Self.marker, 0) == 0 else {
      throw FileError.system("unlink", path + "/" + Self.marker)
    }
    try sync(directory)
    if replacement != .nothing, try exists() {
      try exchange()
    } else {
      try rename()
      isDone = true
      do throws(FileError) {
        try sync(parent)
      } catch {
        throw FileError.complete(outputPath, but: error)
      }
    }
  }

  /// Removes the staging directory, as far as that works; nothing after `commit`.
  public func discard() {
    guard !isDone else { return }
    isDone = true
    Self.remove(stagingName, from: parent)
  }

  // MARK: - Commit

  private func rename() throws(FileError) {
    let descriptor = parent.descriptor
    if unsafe leank_rename_exclusive(descriptor, stagingName, name) == 0 { return }
    switch errno {
    case EEXIST, ENOTEMPTY: throw existing()
    case EINVAL, ENOSYS, ENOTSUP:
      // Without the exclusive form: rename fails on a directory that is not empty.
      if try exists() { throw existing() }
      guard unsafe renameat(descriptor, stagingName, descriptor, name) == 0 else {
        if errno == EEXIST || errno == ENOTEMPTY { throw existing() }
        throw FileError.system("rename", outputPath)
      }
    default: throw FileError.system("rename", outputPath)
    }
  }

  /// Swaps the new directory with the old one, which then is what `discard` removes.
  private func exchange() throws(FileError) {
    // It may be another one than at the beginning.
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let old = try DirectoryHandle(
      descriptor: unsafe openat(parent.descriptor, name, flags), path: outputPath)
    try replacement.check(old, path: outputPath)
    guard unsafe leank_rename_exchange(parent.descriptor, stagingName, name) == 0 else {
      if errno == EINVAL || errno == ENOSYS || errno == ENOTSUP {
        throw FileError(
          .exists,
          "output exists and this file system cannot exchange directories, remove it first",
          in: outputPath)
      }
      throw FileError.system("rename", outputPath)
    }
    do throws(FileError) {
      try sync(parent)
    } catch {
      // The old one is what a power failure may bring back: it stays, for leank clean to remove.
      isDone = true
      let old = FileError(
        error.code, "\(error.detail); the old one is in \(quoted(stagingName))", in: error.path)
      throw FileError.complete(outputPath, but: old)
    }
    discard()
    try? sync(parent)
  }

  private func exists() throws(FileError) -> Bool {
    var status = stat()
    if unsafe fstatat(parent.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return true }
    guard errno == ENOENT else { throw FileError.system("stat", outputPath) }
    return false
  }

  private func existing() -> FileError {
    FileError(.exists, "output exists, use --force to replace it", in: outputPath)
  }

  /// The mode a directory made by `mkdir` would have; what the umask takes away is read off the
  /// marker, since asking for the umask would change it for other threads.
  private func adoptPermissions() throws(FileError) {
    var status = stat()
    guard unsafe fstatat(directory.descriptor, Self.marker, &status, AT_SYMLINK_NOFOLLOW) == 0
    else { throw FileError.system("stat", path + "/" + Self.marker) }
    let mode = status.st_mode & 0o666
    guard fchmod(directory.descriptor, 0o700 | mode | (mode & 0o444) >> 2) == 0 else {
      throw FileError.system("chmod", path)
    }
  }

  private func sync(_ directory: DirectoryHandle) throws(FileError) {
    guard leank_fsync(directory.descriptor) == 0 else {
      throw FileError.system("fsync", directory.path)
    }
  }

  // MARK: - Removal

  /// Removes `name` and the files in it. Subdirectories are entered only one level after another,
  /// never through links: what an exchanged output holds is the user's, and may be nested.
  static func remove(_ name: String, from parent: DirectoryHandle) {
    remove(name.utf8CString.map { $0 }, from: parent)
  }

  /// Names are the file system's own: they need not be text.
  private static func remove(_ name: [CChar], from parent: DirectoryHandle) {
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let descriptor = unsafe openat(parent.descriptor, name, flags)
    if let directory = try? DirectoryHandle(descriptor: descriptor, path: parent.path),
      let entries = try? directory.rawNames()
    {
      for entry in entries where unsafe unlinkat(directory.descriptor, entry, 0) != 0 {
        remove(entry, from: directory)
      }
    }
    unsafe unlinkat(parent.descriptor, name, AT_REMOVEDIR)
  }
}
