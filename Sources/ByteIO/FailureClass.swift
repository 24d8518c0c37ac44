/// How the outside should take a failure; the command line's exit code is its raw value.
public enum FailureClass: Int, Sendable, Hashable {
  case usage = 2
  case malformed = 3
  case unsupported = 4
  case limitExceeded = 5
  case inputOutput = 6
  case inputChanged = 7
  case unsafeOutput = 8
}

/// An error that names its class and says what is wrong in one line.
public protocol ClassifiedError: Error, Sendable, CustomStringConvertible {
  var failureClass: FailureClass { get }
}
