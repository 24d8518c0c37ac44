import ArgumentParser
import ByteIO

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
    do throws(FileError) {
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
