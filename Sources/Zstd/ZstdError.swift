public import ByteIO

public typealias ZstdError = Diagnostic<ZstdCode>

/// Ways in which a zstd frame is refused.
public struct ZstdCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  private init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// The bytes are no zstd frame, break a rule that leank adds, or do not decompress.
  public static let frame = Self("zstd_frame")
  /// The frame's content size is not the declared one.
  public static let contentSize = Self("zstd_content_size")
  /// The window is larger than leank allows.
  public static let window = Self("zstd_window", .limitExceeded)
  /// libzstd failed for a reason that is not in the data.
  public static let library = Self("zstd_library", .limitExceeded)
}
