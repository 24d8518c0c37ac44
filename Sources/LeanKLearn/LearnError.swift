public import ByteIO

public typealias LearnError = Diagnostic<LearnDomain>
public typealias LearnCode = DiagnosticCode<LearnDomain>

/// Ways in which samples cannot be made.
public enum LearnDomain {}

extension LearnCode {
  /// A text has fewer tokens than a sample takes.
  public static var shortText: Self { Self("short_text", .usage) }
  /// A context has no room for what has to stand in it, or too few queries for an answer.
  public static var shortContext: Self { Self("short_context", .usage) }
}
