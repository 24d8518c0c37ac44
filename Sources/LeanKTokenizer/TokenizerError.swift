public import ByteIO

public typealias TokenizerError = Diagnostic<TokenizerCode>

/// Ways in which a tokenizer, a chat template or a text is refused.
public struct TokenizerCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// The directory is left-over staging of a conversion that did not finish.
  public static let incomplete = Self("incomplete")
  /// A key that a file has to have.
  public static let missingKey = Self("missing_key")
  public static let wrongType = Self("wrong_type")
  public static let outOfRange = Self("out_of_range")
  /// Two tokens of one id, or an added token whose id is not the one it gets.
  public static let inconsistent = Self("inconsistent")
  /// A merge of tokens that the vocabulary lacks.
  public static let mergeToken = Self("merge_token")
  public static let patternSyntax = Self("pattern_syntax")
  /// A part of the pipeline that leank does not compute.
  public static let unsupportedPart = Self("unsupported_part", .unsupported)
  /// A construct of regular expressions that leank does not compute.
  public static let unsupportedPattern = Self("unsupported_pattern", .unsupported)
  public static let unsupportedTemplate = Self("unsupported_template", .unsupported)
  /// Messages in an order, or with roles, that a chat template does not take.
  public static let messages = Self("messages", .unsupported)
  public static let tooLarge = Self("too_large", .limitExceeded)
  /// A text on which a pattern takes more steps than it may.
  public static let patternSteps = Self("pattern_steps", .limitExceeded)
  /// A text with a character for which there is neither a token nor one for the unknown.
  public static let unknownText = Self("unknown_text")
  /// An id that names no token.
  public static let unknownID = Self("unknown_id")
}

extension TokenizerError {
  /// A failure met in a file or in JSON: name, class and text stay theirs.
  init<Other: DiagnosticCode>(_ error: Diagnostic<Other>) {
    let place: Location? =
      switch error.location {
      case nil: nil
      case .byte(let offset): .byte(offset)
      case .line(let line, let column): .line(line, column: column)
      case .key(let key): .key(key)
      }
    self.init(
      TokenizerCode(error.code.rawValue, error.failureClass), error.detail, at: place,
      in: error.path)
  }
}
