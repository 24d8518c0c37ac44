public import ByteIO

public typealias DecoderError = Diagnostic<DecoderCode>

/// Ways in which a model cannot be run.
public struct DecoderCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  private init(_ rawValue: String, _ failureClass: FailureClass) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// A tensor that the model needs is not there.
  public static let missingTensor = Self("missing_tensor", .malformed)
  /// A tensor has another shape than the model needs.
  public static let tensorShape = Self("tensor_shape", .malformed)
  /// A weight is stored in a type that the decoder does not compute with.
  public static let scalarType = Self("scalar_type", .unsupported)
  /// The mask was made for another geometry.
  public static let geometry = Self("geometry", .malformed)
  /// The mode cannot be run on the rows that the checkpoint has.
  public static let prunedRows = Self("pruned_rows", .unsupported)
  /// A token id outside the vocabulary.
  public static let token = Self("token", .malformed)
  /// Too few tokens, or a prompt outside them.
  public static let promptLength = Self("prompt_length", .usage)

  /// A source of weights failed while it was read; class and text are the source's.
  public static func source(_ failureClass: FailureClass) -> Self { Self("source", failureClass) }
}
