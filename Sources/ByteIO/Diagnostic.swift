/// One way to be wrong: a stable name and the class of the failure.
///
/// `Domain` names the module. Modules add static members in an extension, so that codes can be added
/// without breaking callers; a name is written in one place only.
public struct DiagnosticCode<Domain>: Sendable, Hashable {
  public let rawValue: String
  public let failureClass: FailureClass

  public init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }
}

/// A place inside a file.
public enum DiagnosticLocation: Sendable, Hashable {
  case byte(Int)
  case line(Int, column: Int)
  case key(String)
}

/// A module's error: which rule was broken, in which file, where, and what was found.
///
/// Errors are equal when their codes are; the text is for people.
public struct Diagnostic<Domain>: ClassifiedError, Equatable {
  public typealias Location = DiagnosticLocation

  public let code: DiagnosticCode<Domain>
  public var path: String?
  public let location: Location?
  /// What was expected and found: lower case, no full stop, untrusted text already escaped.
  public let detail: String

  public init(
    _ code: DiagnosticCode<Domain>, _ detail: String, at location: Location? = nil,
    in path: String? = nil
  ) {
    self.code = code
    self.detail = detail
    self.location = location
    self.path = path
  }

  /// Another module's failure: name, class, text and place stay its own.
  public init<Other>(_ error: Diagnostic<Other>) {
    self.init(
      DiagnosticCode(error.code.rawValue, error.failureClass), error.detail, at: error.location,
      in: error.path)
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
