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
  public static let invalidJSON = Self("invalid_json")
  /// The file could not be opened or read.
  public static let file = Self("file", .inputOutput)
}

extension TensorFileError {
  /// A file system failure met while reading tensors: class and text stay the file's.
  public init(_ error: FileError) {
    self.init(
      TensorFileCode("file", error.failureClass), error.detail, at: error.location.map(Self.place),
      in: error.path)
  }

  private static func place(_ location: FileError.Location) -> Location {
    switch location {
    case .byte(let offset): .byte(offset)
    case .line(let line, let column): .line(line, column: column)
    case .key(let key): .key(key)
    }
  }
}
