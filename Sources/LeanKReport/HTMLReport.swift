/// The page that `inspect --report` writes.
public struct HTMLReport: Sendable {
  public let subject: ReportSubject
  public init(_ subject: ReportSubject) { self.subject = subject }
  public var text: String { "" }
}
