import Foundation
import Synchronization

/// Ctrl-C and kill while something is being written: the work is asked to stop and clean up, and
/// then the signal takes its course.
enum Interruption {
  private static let received = Atomic<CInt>(0)

  static var isRequested: Bool { received.load(ordering: .relaxed) != 0 }

  /// From here on SIGINT and SIGTERM are noted instead of fatal.
  static func beginWatching() {
    signal(SIGINT, note)
    signal(SIGTERM, note)
  }

  /// Signals are fatal again; one that was noted is raised now.
  static func endWatching() {
    signal(SIGINT, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
    let number = received.exchange(0, ordering: .relaxed)
    if number != 0 { raise(number) }
  }

  private static let note: @convention(c) (CInt) -> Void = {
    received.store($0, ordering: .relaxed)
  }
}
