import Foundation
import Synchronization

/// Ctrl-C, Ctrl-\\, kill and a closed terminal while something is being written: the work is asked to stop and
/// clean up, and then the signal is raised again.
enum Interruption {
  private static let received = Atomic<CInt>(0)

  static var isRequested: Bool { received.load(ordering: .relaxed) != 0 }

  private static let signals = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]

  /// From here on the signals are noted instead of fatal. Those that the caller has ignored, as nohup
  /// and a script's background jobs have, stay ignored.
  static func beginWatching() { signals.forEach { set($0, note) } }

  /// Signals are fatal again; one that was noted is raised now.
  static func endWatching() {
    signals.forEach { set($0, SIG_DFL) }
    let number = received.exchange(0, ordering: .relaxed)
    if number != 0 { raise(number) }
  }

  private static func set(_ number: CInt, _ handler: Handler?) {
    let before: Handler? = signal(number, handler)
    if address(of: before) == address(of: SIG_IGN) { signal(number, SIG_IGN) }
  }

  /// What stands for a handler in C; functions cannot be compared.
  private static func address(of handler: Handler?) -> Int {
    unsafe unsafeBitCast(handler, to: Int.self)
  }

  private typealias Handler = @convention(c) (CInt) -> Void

  private static let note: Handler = {
    received.store($0, ordering: .relaxed)
  }
}
