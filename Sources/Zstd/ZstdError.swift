public import ByteIO

public typealias ZstdError = Diagnostic<ZstdDomain>
public typealias ZstdCode = DiagnosticCode<ZstdDomain>

/// Ways in which a zstd frame is refused.
public enum ZstdDomain {}

extension ZstdCode {
  /// The bytes are no zstd frame, break a rule that leank adds, or do not decompress.
  public static var frame: Self { Self("zstd_frame") }
  /// The frame's content size is not the declared one.
  public static var contentSize: Self { Self("zstd_content_size") }
  /// The window is larger than leank allows.
  public static var window: Self { Self("zstd_window", .limitExceeded) }
  /// libzstd failed for a reason that is not in the data.
  public static var library: Self { Self("zstd_library", .limitExceeded) }
}
