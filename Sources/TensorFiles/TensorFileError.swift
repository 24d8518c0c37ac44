public import ByteIO

public typealias TensorFileError = Diagnostic<TensorFileCode>

/// Ways in which a tensor file is refused.
public struct TensorFileCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// The file is something else: an LFS pointer, a web page, another tensor format.
  public static let otherFormat = Self("other_format")
  public static let truncated = Self("truncated")
  // safetensors
  public static let headerLength = Self("header_length")
  public static let headerTooLong = Self("header_too_long", .limitExceeded)
  public static let headerStart = Self("header_start")
  public static let tooManyTensors = Self("too_many_tensors", .limitExceeded)
  public static let nameTooLong = Self("name_too_long", .limitExceeded)
  public static let metadata = Self("metadata")
  public static let tooMuchMetadata = Self("too_much_metadata", .limitExceeded)
  public static let entry = Self("entry")
  public static let scalarType = Self("scalar_type", .unsupported)
  public static let rank = Self("rank", .limitExceeded)
  public static let shape = Self("shape")
  public static let offsets = Self("offsets")
  public static let coverage = Self("coverage")
  public static let invalidJSON = Self("invalid_json")
  /// The file could not be opened or read.
  public static let file = Self("file", .inputOutput)
}

extension TensorFileError {
  /// A file system failure met while reading tensors: class and text stay the file's.
  public init(_ error: FileError) {
    // of a place in a file, only bytes are known that far down
    var place: Location?
    if case .byte(let offset) = error.location { place = .byte(offset) }
    self.init(TensorFileCode("file", error.failureClass), error.detail, at: place, in: error.path)
  }
}
