public import ByteIO
import LeanKModel
import TensorFiles

public typealias CheckpointError = Diagnostic<CheckpointDomain>
public typealias CheckpointCode = DiagnosticCode<CheckpointDomain>

/// Ways in which a directory is no checkpoint.
public enum CheckpointDomain {}

extension CheckpointCode {
  /// A key that the index has to have.
  public static var missingKey: Self { Self("missing_key") }
  public static var wrongType: Self { Self("wrong_type") }
  public static var outOfRange: Self { Self("out_of_range") }
  public static var noWeights: Self { Self("no_weights") }
  /// The directory is left-over staging of a conversion that did not finish.
  public static var incomplete: Self { Self("incomplete") }
  public static var bothSingleAndIndex: Self { Self("both_single_and_index") }
  public static var shardName: Self { Self("shard_name") }
  public static var tooManyShards: Self { Self("too_many_shards", .limitExceeded) }
  /// Index and shard headers disagree.
  public static var indexMismatch: Self { Self("index_mismatch") }
  public static var missingTensor: Self { Self("missing_tensor") }
  /// The index names a file that is not there.
  public static var missingShard: Self { Self("missing_shard") }
  public static var tensorShape: Self { Self("tensor_shape") }
  /// A model that no decoder runs.
  public static var notDecoded: Self { Self("not_decoded", .unsupported) }
  /// Weights that are stored in another form than the architecture's own.
  public static var quantised: Self { Self("quantised", .unsupported) }
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

/// Runs `body`, turning its configuration errors into this module's.
func liftingModel<Result>(
  _ body: @autoclosure () throws(ModelError) -> Result
) throws(CheckpointError) -> Result {
  do throws(ModelError) { return try body() } catch { throw CheckpointError(error) }
}
