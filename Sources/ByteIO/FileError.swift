#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

public typealias FileError = Diagnostic<FileCode>

/// What can go wrong between a program and a file system.
public struct FileCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  init(_ rawValue: String, _ failureClass: FailureClass) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// A system call failed; the text names it and carries errno's own words.
  public static let systemCall = Self("system_call", .inputOutput)
  public static let missing = Self("missing", .inputOutput)
  /// Symbolic links that lead in a circle, or a link where none is followed.
  public static let linkLoop = Self("link_loop", .inputOutput)
  public static let notRegular = Self("not_regular", .inputOutput)
  public static let notDirectory = Self("not_directory", .inputOutput)
  public static let tooLarge = Self("too_large", .limitExceeded)
  public static let changed = Self("changed", .inputChanged)
  public static let exists = Self("exists", .unsafeOutput)
  public static let unsafePath = Self("unsafe_path", .unsafeOutput)
  /// Staging that a running conversion holds, or that may be held.
  public static let inUse = Self("in_use", .unsafeOutput)
  public static let fileName = Self("file_name", .malformed)
}

extension FileError {
  /// The failure of `call` on `path` with the current `errno`.
  public static func system(_ call: String, _ path: String) -> FileError {
    let code = errno
    let text = unsafe String(cString: strerror(code))
    let kind: FileCode =
      switch code {
      case ENOENT: .missing
      case ELOOP: .linkLoop
      case EEXIST: .exists
      default: .systemCall
      }
    let help = code == EMFILE ? ", allow more of them with ulimit -n" : ""
    return FileError(kind, "\(call): \(text.lowercased())" + help, in: path)
  }
}
