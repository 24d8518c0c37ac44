import Synchronization
import Testing

@testable import LeanKDecoder

@Suite struct WorkerPoolTests {
  @Test(arguments: [1, 2, 3, 8]) func everyPieceRunsOnce(threads: Int) {
    let pool = WorkerPool(threads: threads)
    for count in [0, 1, 2, 7, 100, 1000] {
      for _ in 0..<20 {
        var seen = [Int](repeating: 0, count: count)
        seen.withDisjointElements { seen in
          pool.run(count) { index in seen.withElement(index) { $0 += 1 } }
        }
        #expect(seen.allSatisfy { $0 == 1 })
      }
    }
  }

  /// A body that shares out work of its own does it alone, whatever is running.
  @Test func runsMayNest() {
    let pool = WorkerPool(threads: 3)
    let total = Atomic<Int>(0)
    pool.run(10) { outer in
      pool.run(10) { inner in
        total.wrappingAdd(outer * 10 + inner, ordering: .relaxed)
      }
    }
    #expect(total.load(ordering: .relaxed) == (0..<100).reduce(0, +))
  }

  /// Threads that sleep are woken, and those of a pool that goes away end.
  @Test func threadsSleepAndEnd() async throws {
    for _ in 0..<20 {
      let pool = WorkerPool(threads: 4)
      let done = Atomic<Int>(0)
      pool.run(4) { _ in done.wrappingAdd(1, ordering: .relaxed) }
      try await Task.sleep(for: .milliseconds(5))
      pool.run(4) { _ in done.wrappingAdd(1, ordering: .relaxed) }
      #expect(done.load(ordering: .relaxed) == 8)
    }
  }

  /// Several callers at once, as tests and tools may be.
  @Test func callersMayMeet() async {
    let pool = WorkerPool(threads: 2)
    await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          let sum = Atomic<Int>(0)
          for _ in 0..<200 { pool.run(5) { sum.wrappingAdd($0, ordering: .relaxed) } }
          return sum.load(ordering: .relaxed)
        }
      }
      for await sum in group { #expect(sum == 2000) }
    }
  }
}
