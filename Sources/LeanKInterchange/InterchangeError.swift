public import ByteIO
import LeanKMask
public import TensorFiles

public typealias InterchangeError = Diagnostic<InterchangeDomain>
public typealias InterchangeCode = DiagnosticCode<InterchangeDomain>

/// Ways in which a file is no mask, or a mask fits no file.
public enum InterchangeDomain {}

extension InterchangeCode {
  /// The file holds no tensor at all.
  public static var noTensor: Self { Self("no_tensor", .unsupported) }
  /// The file holds scores where a mask is wanted, or the other way round.
  public static var wanted: Self { Self("wanted", .unsupported) }
  /// Tensor names that leave open which is what.
  public static var names: Self { Self("names", .unsupported) }
  /// An array that is not layers of heads of channels.
  public static var shape: Self { Self("shape") }
  /// The file and the model disagree about layers, KV heads or head_dim.
  public static var geometry: Self { Self("geometry") }
  /// The format does not tell KV heads and head_dim apart, and no model was given.
  public static var needsModel: Self { Self("needs_model", .usage) }
  /// A mask with other values than 0 and 1, a score that is NaN or too large.
  public static var values: Self { Self("values") }
  public static var elementType: Self { Self("element_type", .unsupported) }
  public static var limit: Self { Self("limit", .limitExceeded) }
  /// JSON that is not in the documented form.
  public static var json: Self { Self("json") }
  /// What was asked for cannot be written in this format.
  public static var unwritable: Self { Self("unwritable", .unsupported) }
}

extension InterchangeError {
  /// The failure of a tensor file's reader or writer: class, text and place stay.
  public init(_ error: TensorFileError) {
    self.init(
      InterchangeCode("tensor_file." + error.code.rawValue, error.failureClass), error.detail,
      at: error.location, in: error.path)
  }

  /// What `build` makes of a file's values; those that no mask can have fail with `code`.
  static func converting<Value>(
    _ code: InterchangeCode = .values, at location: Location? = nil,
    _ build: () throws(MaskError) -> Value
  ) throws(InterchangeError) -> Value {
    do throws(MaskError) {
      return try build()
    } catch {
      throw InterchangeError(code, error.description, at: location)
    }
  }
}
