public import ByteIO

public typealias JSONError = Diagnostic<JSONDomain>
public typealias JSONCode = DiagnosticCode<JSONDomain>

/// Ways in which a text is not the JSON leank reads.
public enum JSONDomain {}

extension JSONCode {
  public static var byteOrderMark: Self { Self("byte_order_mark") }
  public static var notUTF8: Self { Self("not_utf8") }
  public static var unexpectedEnd: Self { Self("unexpected_end") }
  public static var unexpectedCharacter: Self { Self("unexpected_character") }
  public static var invalidNumber: Self { Self("invalid_number") }
  public static var invalidEscape: Self { Self("invalid_escape") }
  public static var loneSurrogate: Self { Self("lone_surrogate") }
  public static var combiningRun: Self { Self("combining_run", .limitExceeded) }
  public static var controlCharacter: Self { Self("control_character") }
  public static var duplicateKey: Self { Self("duplicate_key") }
  public static var trailingText: Self { Self("trailing_text") }
  public static var tooDeep: Self { Self("too_deep") }
  public static var tooManyValues: Self { Self("too_many_values", .limitExceeded) }
  public static var tooLarge: Self { Self("too_large", .limitExceeded) }
  public static var wrongType: Self { Self("wrong_type") }
  public static var missingKey: Self { Self("missing_key") }
  public static var outOfRange: Self { Self("out_of_range") }
}
