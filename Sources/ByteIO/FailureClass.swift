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

/// One way to be wrong: a stable name and the class of the failure.
///
/// Modules declare a struct with static members, so that cases can be added without breaking callers.
public protocol DiagnosticCode: Sendable, Hashable, RawRepresentable where RawValue == String {
  var failureClass: FailureClass { get }
}

/// A module's error: which rule was broken, in which file, where, and what was found.
///
/// Errors are equal when their codes are; the text is for people.
public struct Diagnostic<Code: DiagnosticCode>: ClassifiedError, Equatable {
  /// A place inside a file.
  public enum Location: Sendable, Hashable {
    case byte(Int)
    case line(Int, column: Int)
    case key(String)
  }

  public let code: Code
  public var path: String?
  public let location: Location?
  /// What was expected and found: lower case, no full stop, untrusted text already escaped.
  public let detail: String

  public init(_ code: Code, _ detail: String, at location: Location? = nil, in path: String? = nil)
  {
    self.code = code
    self.detail = detail
    self.location = location
    self.path = path
  }

  public var failureClass: FailureClass { code.failureClass }

  /// `path: detail, at place`, on one line.
  public var description: String {
    var text = path.map { escaped($0, limit: 4096) + ": " } ?? ""
    text += detail
    switch location {
    case nil: break
    case .byte(let offset): text += ", at byte 0x" + String(offset, radix: 16)
    case .line(let line, let column): text += ", at line \(line), column \(column)"
    case .key(let key): text += ", at key \(quoted(key))"
    }
    return text
  }

  /// The same error, said of a file; an inner path is kept.
  public func located(in path: String) -> Self {
    var copy = self
    if copy.path == nil { copy.path = path }
    return copy
  }

  public static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}
