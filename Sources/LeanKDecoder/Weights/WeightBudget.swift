import Synchronization

/// Bytes of weights that may stay in memory once read.
final class WeightBudget: Sendable {
  private let left: Mutex<Int>

  init(_ bytes: Int) { left = Mutex(bytes) }

  /// Takes `bytes` of what is left; false, and nothing taken, where that is not enough.
  func take(_ bytes: Int) -> Bool {
    left.withLock { left in
      guard bytes <= left else { return false }
      left -= bytes
      return true
    }
  }
}
