public import ByteIO

public typealias TokenizerError = Diagnostic<TokenizerDomain>
public typealias TokenizerCode = DiagnosticCode<TokenizerDomain>

/// Ways in which a tokenizer, a chat template or a text is refused.
public enum TokenizerDomain {}

extension TokenizerCode {
  /// The directory is left-over staging of a conversion that did not finish.
  public static var incomplete: Self { Self("incomplete") }
  /// A key that a file has to have.
  public static var missingKey: Self { Self("missing_key") }
  public static var wrongType: Self { Self("wrong_type") }
  public static var outOfRange: Self { Self("out_of_range") }
  /// Two tokens of one id, or an added token whose id is not the one it gets.
  public static var inconsistent: Self { Self("inconsistent") }
  /// A merge of tokens that the vocabulary lacks.
  public static var mergeToken: Self { Self("merge_token") }
  public static var patternSyntax: Self { Self("pattern_syntax") }
  /// A part of the pipeline that leank does not compute.
  public static var unsupportedPart: Self { Self("unsupported_part", .unsupported) }
  /// A construct of regular expressions that leank does not compute.
  public static var unsupportedPattern: Self { Self("unsupported_pattern", .unsupported) }
  public static var unsupportedTemplate: Self { Self("unsupported_template", .unsupported) }
  /// Messages in an order, or with roles, that a chat template does not take.
  public static var messages: Self { Self("messages", .unsupported) }
  public static var tooLarge: Self { Self("too_large", .limitExceeded) }
  /// A text on which a pattern takes more steps than it may.
  public static var patternSteps: Self { Self("pattern_steps", .limitExceeded) }
  /// A text with a character for which there is neither a token nor one for the unknown.
  public static var unknownText: Self { Self("unknown_text") }
  /// An id that names no token.
  public static var unknownID: Self { Self("unknown_id") }
}
