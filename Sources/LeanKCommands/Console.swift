import ByteIO
import Foundation
import Synchronization

/// Where a command's words go: results to standard output, everything else to standard error.
///
/// Commands never print; they are handed a console, so that a test reads what they say.
public final class Console: Sendable {
  private enum Sink: Sendable {
    case descriptor(CInt, name: String)
    case memory
  }

  private let output: Sink
  private let diagnostics: Sink
  private let captured = Mutex<(output: [UInt8], diagnostics: [UInt8])>(([], []))
  /// Whether standard error is a terminal, where progress may be drawn.
  public let isInteractive: Bool
  /// Whether text may carry colour: a terminal, and `NO_COLOR` unset.
  public let usesColor: Bool

  private init(output: Sink, diagnostics: Sink, isInteractive: Bool, usesColor: Bool) {
    self.output = output
    self.diagnostics = diagnostics
    self.isInteractive = isInteractive
    self.usesColor = usesColor
  }

  /// The process's own streams.
  public static func standard() -> Console {
    let noColor = ProcessInfo.processInfo.environment["NO_COLOR"].map { !$0.isEmpty } ?? false
    return Console(
      output: .descriptor(1, name: "standard output"),
      diagnostics: .descriptor(2, name: "standard error"),
      isInteractive: isatty(2) == 1, usesColor: isatty(1) == 1 && !noColor)
  }

  /// A console that keeps what it is told.
  public static func captured() -> Console {
    Console(output: .memory, diagnostics: .memory, isInteractive: false, usesColor: false)
  }

  public var capturedOutput: String {
    captured.withLock { String(decoding: $0.output, as: UTF8.self) }
  }

  public var capturedDiagnostics: String {
    captured.withLock { String(decoding: $0.diagnostics, as: UTF8.self) }
  }

  /// Writes `text` and a line end as a result. Fails when the stream takes no more.
  func print(_ text: String = "") throws(FileError) { try write(text + "\n") }

  /// Writes `text` as part of a result, without a line end.
  func write(_ text: String) throws(FileError) {
    let bytes = Array(text.utf8)
    switch output {
    case .memory: captured.withLock { $0.output += bytes }
    case .descriptor(let descriptor, let name):
      try writeAll(bytes.span, to: descriptor, path: name)
    }
  }

  /// Writes a line for people: progress, a warning, an error. Failures are of no consequence.
  func note(_ text: String, terminator: String = "\n") {
    let bytes = Array((text + terminator).utf8)
    switch diagnostics {
    case .memory: captured.withLock { $0.diagnostics += bytes }
    case .descriptor(let descriptor, let name):
      try? writeAll(bytes.span, to: descriptor, path: name)
    }
  }

  func warn(_ text: String) { note("leank: warning: " + text) }

  /// Writes `value` as JSON: keys in snake case and sorted, numbers in full.
  func print(json value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    // A difference that is not a number has to be said, not to stop the report.
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try print(String(decoding: encoder.encode(value), as: UTF8.self))
  }
}

/// A value that is written as `null`, not left out, when there is none.
struct Nullable<Wrapped: Encodable>: Encodable {
  var wrapped: Wrapped?

  init(_ wrapped: Wrapped?) { self.wrapped = wrapped }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrapped { try container.encode(wrapped) } else { try container.encodeNil() }
  }
}
