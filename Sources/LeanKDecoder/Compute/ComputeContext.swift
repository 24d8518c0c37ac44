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

  /// Elements that one thread takes at a time of work that is as quick as reading them.
  private static let quickBlock = 1 << 15

  /// `x + factor * other`
  func sum(_ x: Matrix, _ other: Matrix, times factor: Float) -> Matrix {
    precondition(x.rows == other.rows && x.columns == other.columns)
    let blocks = x.values.indices.blocks(of: Self.quickBlock)
    return unsafe Matrix(rows: x.rows, columns: x.columns) { buffer in
      let elements = unsafe DisjointElements(buffer)
      concurrently(blocks.count) { index in
        let part = unsafe elements.part(blocks[index])
        let (left, right) = (x.values[blocks[index]], other.values[blocks[index]])
        var place = 0
        for (a, b) in zip(left, right) {
          unsafe part.initializeElement(at: place, to: a + factor * b)
          place += 1
        }
      }
    }
  }
}
