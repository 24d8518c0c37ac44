#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// What a run of leank that was killed left in a directory.
public struct Leftover: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    /// An output that never got its name, or an old one that `--force` had replaced.
    case staging
    /// Finished shards of a conversion by many tasks, which wait for its commit.
    case parts
  }

  /// Whether a running process holds it.
  public enum Use: Sendable, Hashable {
    case free
    case held
    /// The file system has no locks.
    case unknown
  }

  public let name: String
  public let kind: Kind
  /// Sum of the sizes of its files.
  public let bytes: Int
  public let use: Use

  /// What `name` stands for, nil for anything that is not leank's: `.NAME.leank-partial-xxxx` or
  /// `.NAME.leank-parts`.
  static func kind(of name: String) -> Kind? {
    guard name.utf8.first == 0x2E, DirectoryHandle.isPlainName(name) else { return nil }
    if name.hasSuffix(PartsDirectory.suffix) {
      return name.utf8.count > 1 + PartsDirectory.suffix.utf8.count ? .parts : nil
    }
    let infix = StagingDirectory.infix
    guard let cut = name.lastIndex(of: "-"), name[...cut].hasSuffix(infix),
      name[...cut].utf8.count > 1 + infix.utf8.count
    else { return nil }
    let random = name[name.index(after: cut)...].utf8
    // At most 32 bits to the base of 36.
    guard (1...7).contains(random.count) else { return nil }
    return random.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }
      ? .staging : nil
  }
}

extension DirectoryHandle {
  /// What killed runs left among the entries of this directory, in byte order of names.
  public func leftovers() throws(FileError) -> [Leftover] {
    var found: [Leftover] = []
    for name in try names() {
      guard let kind = Leftover.kind(of: name), let held = try HeldLeftover(name, kind, in: self)
      else { continue }
      found.append(Leftover(name: name, kind: kind, bytes: try held.size(), use: held.use))
    }
    return found
  }

  /// Removes a leftover. Fails with `.inUse` for one that a running process holds, or may hold.
  public func remove(_ leftover: Leftover) throws(FileError) {
    let path = path + "/" + leftover.name
    // Held while it is removed, so that nobody begins to use it.
    guard let held = try HeldLeftover(leftover.name, leftover.kind, in: self) else { return }
    switch held.use {
    case .free: break
    case .held: throw FileError(.inUse, "a running leank holds it", in: path)
    case .unknown:
      throw FileError(
        .inUse, "this file system has no locks to tell whether it is in use, remove it by hand",
        in: path)
    }
    withExtendedLifetime(held) {
      if unsafe unlinkat(descriptor, leftover.name, 0) != 0 {
        StagingDirectory.remove(leftover.name, from: self)
      }
    }
    var status = stat()
    guard unsafe fstatat(descriptor, leftover.name, &status, AT_SYMLINK_NOFOLLOW) != 0 else {
      throw FileError(.systemCall, "could not be removed, nor all that is in it", in: path)
    }
  }
}

/// A leftover, open, with its lock where it could be had.
private final class HeldLeftover {
  let use: Leftover.Use
  private let directory: DirectoryHandle?
  private var descriptors: [CInt] = []
  private let fileSize: Int

  /// nil for what leank does not make under such a name: links, special files.
  init?(_ name: String, _ kind: Leftover.Kind, in parent: DirectoryHandle) throws(FileError) {
    var status = stat()
    guard unsafe fstatat(parent.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      return nil
    }
    var locks: [FileLock] = []
    func lock(_ descriptor: CInt) {
      guard descriptor >= 0 else { return }
      locks.append(.acquire(descriptor, isExclusive: true))
    }
    let flags = O_NOFOLLOW | O_CLOEXEC
    switch status.st_mode & S_IFMT {
    case S_IFDIR:
      let directory = try DirectoryHandle(
        descriptor: unsafe openat(parent.descriptor, name, flags | O_RDONLY | O_DIRECTORY),
        path: parent.path + "/" + name)
      // Network file systems lock only what is open for writing.
      let marker = unsafe openat(
        directory.descriptor, StagingDirectory.marker, flags | O_WRONLY | O_NONBLOCK)
      if marker >= 0 { descriptors.append(marker) }
      lock(directory.descriptor)
      lock(marker)
      self.directory = directory
      fileSize = 0
    case S_IFREG where kind == .staging:
      let file = unsafe openat(parent.descriptor, name, flags | O_WRONLY | O_NONBLOCK)
      guard file >= 0 else {
        // Gone meanwhile: its writer gave it its name.
        if errno == ENOENT { return nil }
        throw FileError.system("open", parent.path + "/" + name)
      }
      descriptors.append(file)
      lock(file)
      directory = nil
      fileSize = Int(status.st_size)
    default: return nil
    }
    use = locks.contains(.held) ? .held : locks.contains(.acquired) ? .free : .unknown
  }

  deinit { descriptors.forEach { close($0) } }

  /// Sum of the sizes of all files in it.
  func size() throws(FileError) -> Int { try directory.map(Self.size) ?? fileSize }

  private static func size(of directory: DirectoryHandle) throws(FileError) -> Int {
    var sum = 0
    for name in try directory.names() {
      var status = stat()
      let flags = O_NOFOLLOW | O_CLOEXEC | O_RDONLY | O_DIRECTORY
      // Gone meanwhile: somebody is at work there.
      guard unsafe fstatat(directory.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
        continue
      }
      if status.st_mode & S_IFMT == S_IFDIR {
        let child = try DirectoryHandle(
          descriptor: unsafe openat(directory.descriptor, name, flags),
          path: directory.path + "/" + name)
        sum += try size(of: child)
      } else {
        sum += Int(status.st_size)
      }
    }
    return sum
  }
}
