import ArgumentParser
import ByteIO
import LeanKMask

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

/// Parses `arguments` (without the program's name), runs the subcommand, reports a failure in one
/// line on the console's diagnostics and returns the exit code.
public func runLeank(_ arguments: [String], on console: Console) -> CInt {
  do {
    let command = try LeankCommand.parseAsRoot(arguments)
    guard let subcommand = command as? any Subcommand else {
      // ArgumentParser's own commands: help, version, completion scripts.
      var other = command
      try other.run()
      return LeankExit.success
    }
    return try subcommand.run(on: console)
  } catch let error as any ClassifiedError {
    console.note("leank: " + error.description)
    return CInt(error.failureClass.rawValue)
  } catch {
    return report(parserError: error, on: console)
  }
}

/// Help and version are results; wrong usage is 2 with the parser's explanation.
private func report(parserError error: any Error, on console: Console) -> CInt {
  let message = LeankCommand.fullMessage(for: error)
  switch LeankCommand.exitCode(for: error) {
  case .success:
    do {
      try console.print(message)
      return LeankExit.success
    } catch {
      console.note("leank: " + error.description)
      return CInt(error.failureClass.rawValue)
    }
  case .validationFailure:
    console.note(message)
    return CInt(FailureClass.usage.rawValue)
  default:
    console.note("leank: internal error: " + escaped(message))
    return LeankExit.internalError
  }
}
