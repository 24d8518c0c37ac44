public import ByteIO
import LeanKMask
public import TensorFiles

public typealias InterchangeError = Diagnostic<InterchangeCode>

/// Ways in which a file is no mask, or a mask fits no file.
public struct InterchangeCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// The file holds no tensor at all.
  public static let noTensor = Self("no_tensor", .unsupported)
  /// The file holds scores where a mask is wanted, or the other way round.
  public static let wanted = Self("wanted", .unsupported)
  /// Tensor names that leave open which is what.
  public static let names = Self("names", .unsupported)
  /// An array that is not layers of heads of channels.
  public static let shape = Self("shape")
  /// The file and the model disagree about layers, KV heads or head_dim.
  public static let geometry = Self("geometry")
  /// The format does not tell KV heads and head_dim apart, and no model was given.
  public static let needsModel = Self("needs_model", .usage)
  /// A mask with other values than 0 and 1, a score that is NaN or too large.
  public static let values = Self("values")
  public static let elementType = Self("element_type", .unsupported)
  public static let limit = Self("limit", .limitExceeded)
  /// JSON that is not in the documented form.
  public static let json = Self("json")
  /// What was asked for cannot be written in this format.
  public static let unwritable = Self("unwritable", .unsupported)
}

extension InterchangeError {
  /// The failure of a tensor file's reader or writer: class, text and place stay.
  public init(_ error: TensorFileError) {
    let location: Location? =
      switch error.location {
      case nil: nil
      case .byte(let offset): .byte(offset)
      case .line(let line, let column): .line(line, column: column)
      case .key(let key): .key(key)
      }
    self.init(
      InterchangeCode("tensor_file." + error.code.rawValue, error.failureClass), error.detail,
      at: location, in: error.path)
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
