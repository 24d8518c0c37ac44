#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

public typealias FileError = Diagnostic<FileDomain>
public typealias FileCode = DiagnosticCode<FileDomain>

/// What can go wrong between a program and a file system.
public enum FileDomain {}

extension FileCode {
  /// A system call failed; the text names it and carries errno's own words.
  public static var systemCall: Self { Self("system_call", .inputOutput) }
  public static var missing: Self { Self("missing", .inputOutput) }
  /// Symbolic links that lead in a circle, or a link where none is followed.
  public static var linkLoop: Self { Self("link_loop", .inputOutput) }
  public static var notRegular: Self { Self("not_regular", .inputOutput) }
  public static var notDirectory: Self { Self("not_directory", .inputOutput) }
  public static var tooLarge: Self { Self("too_large", .limitExceeded) }
  public static var changed: Self { Self("changed", .inputChanged) }
  public static var exists: Self { Self("exists", .unsafeOutput) }
  public static var unsafePath: Self { Self("unsafe_path", .unsafeOutput) }
  /// Staging that a running conversion holds, or that may be held.
  public static var inUse: Self { Self("in_use", .unsafeOutput) }
  public static var fileName: Self { Self("file_name", .malformed) }
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
