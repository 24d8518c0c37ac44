import ByteIO
import Synchronization

/// Counts the bytes of a conversion, and lets the world outside see and end it.
///
/// Its calls may come from several threads; the observer is called by one at a time.
final class WorkMeter {
  let total: Int
  private let observer: Conversion.Observer
  let interruption: PruningError
  private let state = Mutex(State())

  private struct State {
    var done = 0
    /// What ended the work, the first of all failures.
    var failure: PruningError?
  }

  init(total: Int, of conversion: Conversion, observer: Conversion.Observer) {
    self.total = total
    self.observer = observer
    interruption = conversion.interruption
  }

  /// Counts `count` bytes and fails when an end was asked for.
  func advance(_ count: Int) throws(PruningError) {
    guard goesOn(after: count) else { throw interruption }
  }

  /// Counts `count` bytes; false when an end was asked for or work beside has failed.
  func goesOn(after count: Int) -> Bool {
    state.withLock { state in
      state.done += count
      observer.progress(state.done, total)
      return state.failure == nil && !observer.shouldStop()
    }
  }

  func checkStop() throws(PruningError) {
    if observer.shouldStop() { throw interruption }
  }

  /// Calls `body` with 0, 1, ... up to `count`, on up to `threads` threads; the first failure ends
  /// the others and is thrown.
  func concurrently(
    _ count: Int, threads: Int, _ body: (Int) throws(PruningError) -> Void
  ) throws(PruningError) {
    ByteIO.concurrently(count, threads: threads) { index in
      guard state.withLock({ $0.failure == nil }) else { return }
      do throws(PruningError) {
        try body(index)
      } catch {
        state.withLock { $0.failure = $0.failure ?? error }
      }
    }
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }
}
