public import ByteIO
import LeanKCheckpoint
import LeanKModel
import TensorFiles

public typealias PruningError = Diagnostic<PruningDomain>
public typealias PruningCode = DiagnosticCode<PruningDomain>

/// Ways in which a conversion, or the proof of one, is refused.
public enum PruningDomain {}

extension PruningCode {
  /// Options that contradict each other.
  public static var inconsistent: Self { Self("inconsistent") }
  /// A tensor beside a sliced projection that nothing says how to slice.
  public static var companionTensor: Self { Self("companion_tensor", .unsupported) }
  public static var queryKeyNorm: Self { Self("query_key_norm", .unsupported) }
  /// A model of which is not known which rows give which channels, or how they rotate.
  public static var unknownRows: Self { Self("unknown_rows", .unsupported) }
  public static var alreadyPruned: Self { Self("already_pruned", .unsupported) }
  /// A source that has an `auto_map`, and with it code of its own.
  public static var foreignLoader: Self { Self("foreign_loader", .unsupported) }
  public static var notPruned: Self { Self("not_pruned") }
  /// Parts that another plan or other inputs made.
  public static var otherPlan: Self { Self("other_plan", .unsafeOutput) }
  /// A commit before all parts are complete.
  public static var partMissing: Self { Self("part_missing", .inputOutput) }
  /// A part that does not hold what the source gives.
  public static var partChanged: Self { Self("part_changed", .inputChanged) }
  public static var noSpace: Self { Self("no_space", .inputOutput) }
  /// More files than the process may have open.
  public static var openFiles: Self { Self("open_files", .inputOutput) }
  public static var interrupted: Self { Self("interrupted", .inputOutput) }
  /// What was written does not read back as planned.
  public static var verification: Self { Self("verification", .inputOutput) }
}

/// Runs `body`, turning its file errors into this module's.
func lifting<Result>(
  _ body: @autoclosure () throws(FileError) -> Result
) throws(PruningError) -> Result {
  do throws(FileError) { return try body() } catch { throw PruningError(error) }
}

/// Runs `body`, turning its tensor file errors into this module's.
func liftingTensors<Result>(
  _ body: @autoclosure () throws(TensorFileError) -> Result
) throws(PruningError) -> Result {
  do throws(TensorFileError) { return try body() } catch { throw PruningError(error) }
}

/// Runs `body`, turning its configuration errors into this module's.
func liftingModel<Result>(
  _ body: @autoclosure () throws(ModelError) -> Result
) throws(PruningError) -> Result {
  do throws(ModelError) { return try body() } catch { throw PruningError(error) }
}

/// Runs `body`, turning its checkpoint errors into this module's.
func liftingCheckpoint<Result>(
  _ body: @autoclosure () throws(CheckpointError) -> Result
) throws(PruningError) -> Result {
  do throws(CheckpointError) { return try body() } catch { throw PruningError(error) }
}
