public import ByteIO

public typealias LearnError = Diagnostic<LearnDomain>
public typealias LearnCode = DiagnosticCode<LearnDomain>

/// Ways in which a mask cannot be learned.
public enum LearnDomain {}

extension LearnCode {
  /// A text has fewer tokens than a sample takes.
  public static var shortText: Self { Self("short_text", .usage) }
  /// A context has no room for what has to stand in it, or too few queries for an answer.
  public static var shortContext: Self { Self("short_context", .usage) }
  /// Scores that are there belong to a run with another model, data or options.
  public static var otherInputs: Self { Self("other_inputs", .unsafeOutput) }
  /// Sequences have not been scored yet.
  public static var missingParts: Self { Self("missing_parts", .usage) }
}
