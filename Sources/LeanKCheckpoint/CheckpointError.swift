public import ByteIO
import TensorFiles

public typealias CheckpointError = Diagnostic<CheckpointCode>

/// Ways in which a checkpoint, or a conversion of one, is refused.
public struct CheckpointCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) { nil }

  init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// A key that config.json or the index has to have.
  public static let missingKey = Self("missing_key")
  public static let wrongType = Self("wrong_type")
  public static let outOfRange = Self("out_of_range")
  /// Keys that contradict each other.
  public static let inconsistent = Self("inconsistent")
  public static let unknownModelType = Self("unknown_model_type", .unsupported)
  /// Known and well-formed, but not something leank computes.
  public static let unsupportedModel = Self("unsupported_model", .unsupported)
  public static let noWeights = Self("no_weights")
  /// The directory is left-over staging of a conversion that did not finish.
  public static let incomplete = Self("incomplete")
  public static let bothSingleAndIndex = Self("both_single_and_index")
  public static let shardName = Self("shard_name")
  public static let tooManyShards = Self("too_many_shards", .limitExceeded)
  /// Index and shard headers disagree.
  public static let indexMismatch = Self("index_mismatch")
  public static let missingTensor = Self("missing_tensor")
  /// The index names a file that is not there.
  public static let missingShard = Self("missing_shard")
  public static let tensorShape = Self("tensor_shape")
  public static let maskGeometry = Self("mask_geometry")
  /// A tensor beside a sliced projection that nothing says how to slice.
  public static let companionTensor = Self("companion_tensor", .unsupported)
  /// Weights that are stored in another form than the architecture's own.
  public static let quantised = Self("quantised", .unsupported)
  public static let queryKeyNorm = Self("query_key_norm", .unsupported)
  public static let alreadyPruned = Self("already_pruned", .unsupported)
  public static let notPruned = Self("not_pruned")
  /// Parts that another plan or other inputs made.
  public static let otherPlan = Self("other_plan", .unsafeOutput)
  /// A commit before all parts are complete.
  public static let partMissing = Self("part_missing", .inputOutput)
  public static let noSpace = Self("no_space", .inputOutput)
  /// More files than the process may have open.
  public static let openFiles = Self("open_files", .inputOutput)
  public static let interrupted = Self("interrupted", .inputOutput)
  /// What was written does not read back as planned.
  public static let verification = Self("verification", .inputOutput)
}

extension CheckpointError {
  /// A failure met in a file, in a tensor header or in JSON: name, class and text stay theirs.
  init<Other: DiagnosticCode>(_ error: Diagnostic<Other>) {
    let place: Location? =
      switch error.location {
      case nil: nil
      case .byte(let offset): .byte(offset)
      case .line(let line, let column): .line(line, column: column)
      case .key(let key): .key(key)
      }
    self.init(
      CheckpointCode(error.code.rawValue, error.failureClass), error.detail, at: place,
      in: error.path)
  }
}

/// Runs `body`, turning its file errors into this module's.
func lifting<Result>(
  _ body: @autoclosure () throws(FileError) -> Result
) throws(CheckpointError) -> Result {
  do throws(FileError) { return try body() } catch { throw CheckpointError(error) }
}

/// Runs `body`, turning its tensor file errors into this module's.
func liftingTensors<Result>(
  _ body: @autoclosure () throws(TensorFileError) -> Result
) throws(CheckpointError) -> Result {
  do throws(TensorFileError) { return try body() } catch { throw CheckpointError(error) }
}
