import CKernels

/// Threads that wait ready for short pieces of work.
///
/// Each call of a body is a unit by itself and owns what it writes, so that results do not depend on
/// the number of threads.
@safe final class WorkerPool: @unchecked Sendable {
  /// Threads at work, the calling one included.
  let threads: Int
  /// nil where one thread does all.
  private let pool: OpaquePointer?

  /// At least one thread; fewer than asked for where the system has no more.
  init(threads: Int) {
    self.threads = max(1, threads)
    unsafe pool = threads > 1 ? leank_pool_create(threads) : nil
  }

  deinit { unsafe pool.map { unsafe leank_pool_destroy($0) } }

  /// Calls `body` with 0, 1, ... up to `count`, in any order and at the same time.
  func run(_ count: Int, _ body: @Sendable (Int) -> Void) {
    guard let pool = unsafe pool, count > 1 else {
      for index in 0..<count { body(index) }
      return
    }
    withoutActuallyEscaping(body) { body in
      var call = Call(body: body)
      unsafe withUnsafeMutablePointer(to: &call) { call in
        unsafe leank_pool_run(
          pool, count,
          { context, index in
            unsafe context?.assumingMemoryBound(to: Call.self).pointee.body(index)
          }, call)
      }
    }
  }

  private struct Call {
    let body: @Sendable (Int) -> Void
  }
}
