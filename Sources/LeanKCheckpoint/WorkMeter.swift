import ByteIO

/// Counts the bytes of a conversion, and lets the world outside see and end it.
final class WorkMeter {
  let total: Int
  private let observer: Conversion.Observer
  private let output: String
  private var done = 0

  init(total: Int, observer: Conversion.Observer, output: String) {
    self.total = total
    self.observer = observer
    self.output = output
  }

  /// Counts `count` bytes and fails when an end was asked for.
  func advance(_ count: Int) throws(CheckpointError) {
    guard goesOn(after: count) else { throw interruption }
  }

  /// Counts `count` bytes; false when an end was asked for.
  func goesOn(after count: Int) -> Bool {
    done += count
    observer.progress(done, total)
    return !observer.shouldStop()
  }

  func checkStop() throws(CheckpointError) {
    if observer.shouldStop() { throw interruption }
  }

  var interruption: CheckpointError {
    CheckpointError(.interrupted, "interrupted, there is no output", in: output)
  }
}
