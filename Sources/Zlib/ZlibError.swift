public import ByteIO

public typealias ZlibError = Diagnostic<ZlibDomain>
public typealias ZlibCode = DiagnosticCode<ZlibDomain>

/// Ways in which a deflate stream is refused.
public enum ZlibDomain {}

extension ZlibCode {
  /// The bytes are not a deflate stream.
  public static var corrupt: Self { Self("deflate_corrupt") }
  /// The stream ends before its final block does.
  public static var truncated: Self { Self("deflate_truncated") }
  /// The stream holds fewer or more bytes than were declared.
  public static var wrongSize: Self { Self("deflate_wrong_size") }
  /// Bytes follow the final block.
  public static var trailingBytes: Self { Self("deflate_trailing_bytes") }
  /// zlib could not allocate its state.
  public static var memory: Self { Self("deflate_memory", .limitExceeded) }
}
