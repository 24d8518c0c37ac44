import ArgumentParser
public import ByteIO
public import LeanKMask

/// Exit codes beyond those of `FailureClass`.
enum LeankExit {
  static let success: CInt = 0
  /// `verify` or `diff` found a difference.
  static let difference: CInt = 1
  /// A bug in leank.
  static let internalError: CInt = 70
}

/// A command line that parses but asks for the impossible.
struct UsageError: ClassifiedError {
  let description: String
  var failureClass: FailureClass { .usage }

  init(_ description: String) { self.description = description }
}

/// A failure of a class of its own, met in a command.
struct CommandError: ClassifiedError {
  let failureClass: FailureClass
  let description: String

  init(_ failureClass: FailureClass, _ description: String) {
    self.failureClass = failureClass
    self.description = description
  }
}

/// A mask that cannot exist, or that a checkpoint contradicts, came from input.
extension MaskError: ClassifiedError {
  public var failureClass: FailureClass { .malformed }
}

/// One subcommand: parsed options that run against a console and return an exit code.
protocol Subcommand: ParsableCommand {
  func run(on console: Console) throws -> CInt
}
