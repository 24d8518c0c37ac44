/// The machine's part of a run: which loops, and on how many threads.
public struct ComputeContext: Sendable {
  let kernels: Kernels
  private let pool: WorkerPool

  /// The fastest loops of this machine on `threads` threads, at least one.
  public init(threads: Int) { self.init(kernels: .best, threads: threads) }

  /// The loops of instruction set `level`, 0 being the baseline; nil where this machine has none.
  public init?(threads: Int, level: Int) {
    guard let kernels = Kernels(level: level) else { return nil }
    self.init(kernels: kernels, threads: threads)
  }

  private init(kernels: Kernels, threads: Int) {
    self.kernels = kernels
    pool = WorkerPool(threads: threads)
  }

  /// The same loops on the calling thread alone, for work too small to share.
  var serial: ComputeContext { ComputeContext(kernels: kernels, threads: 1) }

  /// Number of instruction sets that exist on some machine.
  public static let levels = Kernels.levels

  public var threads: Int { pool.threads }

  /// Calls `body` with 0, 1, ... up to `count`; each call is a unit by itself and owns what it writes.
  func concurrently(_ count: Int, _ body: @Sendable (Int) -> Void) { pool.run(count, body) }

  /// `[body(0), body(1), ...]`.
  func concurrentMap<Result: Sendable>(
    _ count: Int, _ body: @Sendable (Int) -> Result
  ) -> [Result] {
    unsafe [Result](unsafeUninitializedCapacity: count) { slots, initialized in
      let results = unsafe DisjointElements(slots)
      concurrently(count) { index in
        unsafe results.part(index..<index + 1).initializeElement(at: 0, to: body(index))
      }
      initialized = count
    }
  }
}
