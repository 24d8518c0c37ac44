import CFileSystem

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// What an output directory may take the place of.
public enum OutputReplacement: Sendable, Hashable {
  case nothing
  /// A directory that is empty or has a file of this name in it.
  case directory(holding: String)
  case anyDirectory

  /// Fails unless `directory` may be replaced.
  func check(_ directory: DirectoryHandle, path: String) throws(FileError) {
    guard case .directory(let name) = self, try directory.kind(of: name) != .regular else { return }
    guard try directory.rawNames().isEmpty else {
      throw FileError(
        .unsafePath,
        "output exists and has no \(quoted(name)), so that --force does not remove it: use --force-any",
        in: path)
    }
  }
}

/// Fails where an output file at `path` may not be written: with `.exists` where one is there, unless
/// `replacing`, with `.unsafePath` where it is no regular file, is one of `inputs` or a file that one of
/// them leads to, or lies in a directory among them.
public func checkOutputFile(
  _ path: String, replacing: Bool, inputs: [String] = []
) throws(FileError) {
  var status = stat()
  var existing: FileIdentity?
  if unsafe lstat(path, &status) == 0 {
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw FileError(.unsafePath, "output exists and is not a regular file", in: path)
    }
    guard replacing else {
      throw FileError(.exists, "output exists, use --force to replace it", in: path)
    }
    existing = FileIdentity(status)
  }
  let folder = try DirectoryHandle(path: splitPath(path).parent)
  for input in inputs {
    guard unsafe stat(input, &status) == 0 else { continue }
    let identity = FileIdentity(status)
    let isDirectory = status.st_mode & S_IFMT == S_IFDIR
    if let existing {
      let isInput =
        isDirectory
        ? try DirectoryHandle(path: input).leads(to: existing) : existing.isSameFile(as: identity)
      guard !isInput else {
        throw FileError(.unsafePath, "output is a file of the input \(quoted(input))", in: path)
      }
    }
    if isDirectory, try folder.isOrHasAncestor(identity) {
      throw FileError(.unsafePath, "output lies inside the input \(quoted(input))", in: path)
    }
  }
}

extension StagingDirectory {
  /// Opens the directory in which the output `path` is to be.
  ///
  /// Refuses, with `.exists` or `.unsafePath`, an output that exists, unless it may be replaced, that is
  /// a symbolic link, or that is, contains or lies inside one of `inputs`.
  @discardableResult
  public static func check(
    _ path: String, replacing replacement: OutputReplacement, inputs: [DirectoryHandle]
  ) throws(FileError) -> DirectoryHandle {
    let (parentPath, name) = splitPath(path)
    guard DirectoryHandle.isPlainName(name) else {
      throw FileError(.unsafePath, "output does not end in a plain name", in: path)
    }
    let parent = try DirectoryHandle(path: parentPath)
    var existing: FileIdentity?
    var status = stat()
    if unsafe fstatat(parent.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 {
      let kind = status.st_mode & S_IFMT
      guard kind != S_IFLNK else {
        throw FileError(.unsafePath, "output is a symbolic link", in: path)
      }
      existing = FileIdentity(status)
      guard kind == S_IFDIR || replacement == .nothing else {
        throw FileError(.unsafePath, "output exists and is not a directory", in: path)
      }
    } else if errno != ENOENT {
      throw FileError.system("stat", path)
    }
    for input in inputs {
      if let existing {
        guard !existing.isSameFile(as: input.identity) else {
          throw FileError(.unsafePath, "output is the input \(quoted(input.path))", in: path)
        }
        guard try !input.hasAncestor(existing) else {
          throw FileError(.unsafePath, "output contains the input \(quoted(input.path))", in: path)
        }
      }
      guard try !parent.isOrHasAncestor(input.identity) else {
        throw FileError(.unsafePath, "output lies inside the input \(quoted(input.path))", in: path)
      }
    }
    guard existing != nil else { return parent }
    guard replacement != .nothing else {
      throw FileError(.exists, "output exists, use --force to replace it", in: path)
    }
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    try replacement.check(
      try DirectoryHandle(descriptor: unsafe openat(parent.descriptor, name, flags), path: path),
      path: path)
    return parent
  }
}

extension DirectoryHandle {
  /// Whether this directory, or one above it, is the one of `identity`.
  func isOrHasAncestor(_ identity: FileIdentity) throws(FileError) -> Bool {
    if self.identity.isSameFile(as: identity) { return true }
    return try hasAncestor(identity)
  }

  /// Whether a directory above this one is the one of `identity`.
  func hasAncestor(_ identity: FileIdentity) throws(FileError) -> Bool {
    var current = self
    while true {
      let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
      let above = try DirectoryHandle(
        descriptor: unsafe openat(current.descriptor, "..", flags), path: current.path + "/..")
      // The root is its own parent.
      if above.identity.isSameFile(as: current.identity) { return false }
      if above.identity.isSameFile(as: identity) { return true }
      current = above
    }
  }

  /// Whether one of the entries is the file of `identity` or a link to it, as in a cache of downloads.
  func leads(to identity: FileIdentity) throws(FileError) -> Bool {
    for name in try rawNames() {
      var status = stat()
      if unsafe fstatat(descriptor, name, &status, 0) == 0,
        FileIdentity(status).isSameFile(as: identity)
      {
        return true
      }
    }
    return false
  }
}

extension DirectoryHandle {
  /// Most bytes of a file's name on the usual file systems.
  public static let nameLimit = 255
}

/// `name` where it has at most `limit` bytes, else its beginning and a number made from all of it, so
/// that two long names stay two.
func shortened(_ name: String, to limit: Int) -> String {
  guard name.utf8.count > limit else { return name }
  // FNV-1a, 64 bits.
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
  let digits = String(hash, radix: 16)
  let suffix = "-" + String(repeating: "0", count: 16 - digits.count) + digits
  var beginning = ""
  for scalar in name.unicodeScalars {
    guard beginning.utf8.count + UTF8.width(scalar) + suffix.utf8.count <= limit else { break }
    beginning.unicodeScalars.append(scalar)
  }
  return beginning + suffix
}
