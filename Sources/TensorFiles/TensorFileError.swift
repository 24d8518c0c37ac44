public import ByteIO

public typealias TensorFileError = Diagnostic<TensorFileDomain>
public typealias TensorFileCode = DiagnosticCode<TensorFileDomain>

/// Ways in which a tensor file is refused.
public enum TensorFileDomain {}

extension TensorFileCode {
  /// The file is something else: an LFS pointer, a web page, another tensor format.
  public static var otherFormat: Self { Self("other_format") }
  public static var truncated: Self { Self("truncated") }
  // safetensors
  public static var headerLength: Self { Self("header_length") }
  public static var headerTooLong: Self { Self("header_too_long", .limitExceeded) }
  public static var headerStart: Self { Self("header_start") }
  public static var tooManyTensors: Self { Self("too_many_tensors", .limitExceeded) }
  public static var nameTooLong: Self { Self("name_too_long", .limitExceeded) }
  public static var metadata: Self { Self("metadata") }
  public static var tooMuchMetadata: Self { Self("too_much_metadata", .limitExceeded) }
  public static var entry: Self { Self("entry") }
  public static var scalarType: Self { Self("scalar_type", .unsupported) }
  public static var rank: Self { Self("rank", .limitExceeded) }
  public static var shape: Self { Self("shape") }
  public static var offsets: Self { Self("offsets") }
  public static var coverage: Self { Self("coverage") }
  public static var invalidJSON: Self { Self("invalid_json") }
  /// The file could not be opened or read.
  public static var file: Self { Self("file", .inputOutput) }
}

extension TensorFileError {
  /// A file system failure met while reading tensors: class and text stay the file's.
  public init(_ error: FileError) {
    self.init(
      TensorFileCode("file", error.failureClass), error.detail, at: error.location, in: error.path)
  }
}
