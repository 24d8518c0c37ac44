import Dispatch
import Synchronization

/// Calls `body` with 0, 1, ... up to `count`, on up to `threads` threads.
///
/// Each call is a unit by itself, so what is computed does not depend on the number of threads.
/// `body` must not write anything that another call reads or writes.
public func concurrently(_ count: Int, threads: Int, _ body: (Int) -> Void) {
  let workers = min(threads, count)
  guard workers > 1 else {
    for index in 0..<count { body(index) }
    return
  }
  let next = Atomic<Int>(0)
  withoutActuallyEscaping(body) { body in
    // The closure may hold anything: that its calls keep apart is the caller's promise above.
    nonisolated(unsafe) let body = body
    DispatchQueue.concurrentPerform(iterations: workers) { _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < count else { return }
        unsafe body(index)
      }
    }
  }
}

/// `[body(0), body(1), ...]`, computed as `concurrently` does.
public func concurrentMap<Result>(_ count: Int, threads: Int, _ body: (Int) -> Result) -> [Result] {
  unsafe [Result](unsafeUninitializedCapacity: count) { slots, initialized in
    guard let base = slots.baseAddress else { return }
    concurrently(count, threads: threads) { index in
      unsafe (base + index).initialize(to: body(index))
    }
    initialized = count
  }
}
