public import ByteIO

public typealias JSONError = Diagnostic<JSONCode>

/// Ways in which a text is not the JSON leank reads.
public struct JSONCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  private init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  public static let byteOrderMark = Self("byte_order_mark")
  public static let notUTF8 = Self("not_utf8")
  public static let unexpectedEnd = Self("unexpected_end")
  public static let unexpectedCharacter = Self("unexpected_character")
  public static let invalidNumber = Self("invalid_number")
  public static let invalidEscape = Self("invalid_escape")
  public static let loneSurrogate = Self("lone_surrogate")
  public static let combiningRun = Self("combining_run", .limitExceeded)
  public static let controlCharacter = Self("control_character")
  public static let duplicateKey = Self("duplicate_key")
  public static let trailingText = Self("trailing_text")
  public static let tooDeep = Self("too_deep")
  public static let tooManyValues = Self("too_many_values", .limitExceeded)
  public static let tooLarge = Self("too_large", .limitExceeded)
  public static let wrongType = Self("wrong_type")
  public static let missingKey = Self("missing_key")
  public static let outOfRange = Self("out_of_range")
}
