import CKernels
public import TensorFiles

/// Type of stored weights and caches; arithmetic is always f32.
public enum ElementType: String, Sendable, Hashable, CaseIterable {
  case f32, bf16, f16

  /// nil for types that the decoder does not compute with.
  public init?(_ scalar: ScalarType) {
    switch scalar {
    case .f32: self = .f32
    case .bf16: self = .bf16
    case .f16: self = .f16
    default: return nil
    }
  }

  /// Bytes of one element.
  public var byteWidth: Int { self == .f32 ? 4 : 2 }

  var code: leank_element {
    switch self {
    case .f32: leank_f32
    case .bf16: leank_bf16
    case .f16: leank_f16
    }
  }
}
