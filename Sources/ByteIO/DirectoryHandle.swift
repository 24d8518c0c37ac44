#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// An open directory: entries are opened relative to it, so that a renamed parent changes nothing.
public final class DirectoryHandle: Sendable {
  public let path: String
  public let identity: FileIdentity
  /// For `openat` and its kin; owned by this object.
  public let descriptor: CInt

  /// Opens the directory at `path`, following symbolic links.
  public convenience init(path: String) throws(FileError) {
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
    try self.init(descriptor: unsafe open(path, flags), path: path)
  }

  /// Takes over `descriptor`, which is open on a directory, or negative with `errno` set.
  init(descriptor: CInt, path: String) throws(FileError) {
    guard descriptor >= 0 else {
      if errno == ENOTDIR { throw FileError(.notDirectory, "not a directory", in: path) }
      throw FileError.system("open", path)
    }
    do throws(FileError) {
      identity = FileIdentity(try fileStatus(of: descriptor, path))
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  /// Whether `name` is one path component: not empty, not `.` or `..`, at most 255 bytes, without
  /// slash, backslash or control characters.
  public static func isPlainName(_ name: String) -> Bool {
    guard !name.isEmpty, name != ".", name != "..", name.utf8.count <= nameLimit else {
      return false
    }
    return name.unicodeScalars.allSatisfy { scalar in
      scalar.value >= 0x20 && scalar.value != 0x7F && !(0x80...0x9F).contains(scalar.value)
        && scalar != "/" && scalar != "\\"
    }
  }

  /// Names of all entries but `.` and `..`, in byte order whatever the file system's order.
  ///
  /// Bytes that are not UTF-8 are replaced, so that such a name leads to nothing.
  public func names() throws(FileError) -> [String] {
    try rawNames().map {
      UTF8Name(String(decoding: $0.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
    }
    .sorted().map(\.text)
  }

  /// The same names as the file system has them and in its order, each ending in 0.
  func rawNames() throws(FileError) -> [[CChar]] {
    // A second descriptor: fdopendir takes its argument over.
    let copy = unsafe openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = unsafe fdopendir(copy) else {
      throw FileError.system("opendir", path)
    }
    defer { unsafe closedir(stream) }
    var names: [[CChar]] = []
    while true {
      // An end and a failure look alike but for this.
      errno = 0
      guard let entry = unsafe readdir(stream) else { break }
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { raw in
        unsafe raw.prefix(while: { $0 != 0 }).map(CChar.init(bitPattern:))
      }
      if name != [0x2E], name != [0x2E, 0x2E] { names.append(name + [0]) }
    }
    guard errno == 0 else { throw FileError.system("readdir", path) }
    return names
  }

  /// Bytes that may still be written to the file system, as far as it tells.
  public func freeSpace() throws(FileError) -> Int {
    var status = statvfs()
    guard unsafe fstatvfs(descriptor, &status) == 0 else {
      throw FileError.system("statvfs", path)
    }
    let free = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return free.overflow ? .max : Int(clamping: free.partialValue)
  }

  /// What kind of file `name` is, following links; nil when nothing is there.
  public func kind(of name: String) throws(FileError) -> FileKind? {
    var status = stat()
    guard unsafe fstatat(descriptor, name, &status, 0) == 0 else {
      if errno == ENOENT { return nil }
      throw FileError.system("stat", path + "/" + name)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .regular
    case S_IFDIR: return .directory
    default: return .other
    }
  }
}

public enum FileKind: Sendable, Hashable {
  case regular, directory, other
}
