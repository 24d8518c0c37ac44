public import ByteIO

public typealias ModelError = Diagnostic<ModelDomain>
public typealias ModelCode = DiagnosticCode<ModelDomain>

/// Ways in which a configuration is no model that leank knows.
public enum ModelDomain {}

extension ModelCode {
  /// A key that config.json has to have.
  public static var missingKey: Self { Self("missing_key") }
  public static var wrongType: Self { Self("wrong_type") }
  public static var outOfRange: Self { Self("out_of_range") }
  /// Keys that contradict each other.
  public static var inconsistent: Self { Self("inconsistent") }
  public static var unknownModelType: Self { Self("unknown_model_type", .unsupported) }
  /// Known and well-formed, but not something leank computes.
  public static var unsupportedModel: Self { Self("unsupported_model", .unsupported) }
  /// The mask was made for another geometry.
  public static var maskGeometry: Self { Self("mask_geometry") }
}
