public import ByteIO

public typealias ZlibError = Diagnostic<ZlibCode>

/// Ways in which a deflate stream is refused.
public struct ZlibCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  private init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// The bytes are not a deflate stream.
  public static let corrupt = Self("deflate_corrupt")
  /// The stream ends before its final block does.
  public static let truncated = Self("deflate_truncated")
  /// The stream holds fewer or more bytes than were declared.
  public static let wrongSize = Self("deflate_wrong_size")
  /// Bytes follow the final block.
  public static let trailingBytes = Self("deflate_trailing_bytes")
  /// zlib could not allocate its state.
  public static let memory = Self("deflate_memory", .limitExceeded)
}
