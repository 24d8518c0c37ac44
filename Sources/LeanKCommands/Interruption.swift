import Foundation
import Synchronization

/// Ctrl-C and kill while something is being written: the work is asked to stop and clean up, and
/// then the signal takes its course.
enum Interruption {
  private static let received = Atomic<CInt>(0)

  static var isRequested: Bool { received.load(ordering: .relaxed) != 0 }

  /// Runs `body` with SIGINT and SIGTERM noted instead of fatal; raises a noted one again after it.
  static func whileWatching<Value, Failure: Error>(
    _ body: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let note: @convention(c) (CInt) -> Void = { received.store($0, ordering: .relaxed) }
    let previous = unsafe (signal(SIGINT, note), signal(SIGTERM, note))
    defer {
      unsafe signal(SIGINT, previous.0)
      unsafe signal(SIGTERM, previous.1)
      let number = received.exchange(0, ordering: .relaxed)
      if number != 0 { raise(number) }
    }
    return try body()
  }
}
