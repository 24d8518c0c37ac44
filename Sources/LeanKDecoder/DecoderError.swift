public import ByteIO

public typealias DecoderError = Diagnostic<DecoderDomain>
public typealias DecoderCode = DiagnosticCode<DecoderDomain>

/// Ways in which a model cannot be run.
public enum DecoderDomain {}

extension DecoderCode {
  /// A tensor that the model needs is not there.
  public static var missingTensor: Self { Self("missing_tensor", .malformed) }
  /// A tensor has another shape than the model needs.
  public static var tensorShape: Self { Self("tensor_shape", .malformed) }
  /// A weight is stored in a type that the decoder does not compute with.
  public static var scalarType: Self { Self("scalar_type", .unsupported) }
  /// The model applies a function that the decoder does not know.
  public static var activation: Self { Self("activation", .unsupported) }
  /// The mask was made for another geometry.
  public static var geometry: Self { Self("geometry", .malformed) }
  /// The mode cannot be run on the rows that the checkpoint has.
  public static var prunedRows: Self { Self("pruned_rows", .unsupported) }
  /// A token id outside the vocabulary.
  public static var token: Self { Self("token", .malformed) }
  /// Too few tokens, or a prompt outside them.
  public static var promptLength: Self { Self("prompt_length", .usage) }

  /// A logit is infinite or not a number.
  public static var notFinite: Self { Self("not_finite", .malformed) }
  /// The run was asked to stop.
  public static var interrupted: Self { Self("interrupted", .inputOutput) }

  /// A source of weights failed while it was read; class and text are the source's.
  public static func source(_ failureClass: FailureClass) -> Self { Self("source", failureClass) }
}
