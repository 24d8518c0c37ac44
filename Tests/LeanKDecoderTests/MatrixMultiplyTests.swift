import TestSupport
import Testing

@testable import LeanKDecoder

@Suite struct MatrixMultiplyTests {
  /// Both routes, few tokens and many, over ranges of rows, give what double precision gives.
  @Test(arguments: [1, 4, 5, 33], KernelTests.elements)
  func productsOfChosenRows(tokens: Int, element: ElementType) throws {
    var generator = SeededGenerator(seed: UInt64(tokens))
    let (rows, columns) = (300, 48)
    let (bytes, w) = KernelTests.random(rows * columns, element, &generator)
    let weight = WeightMatrix(
      name: "w", element: element, rows: rows, columns: columns, bytes: AlignedBytes(bytes))
    let x = Matrix(
      rows: tokens, columns: columns,
      values: KernelTests.random(tokens * columns, .f32, &generator).values)
    let ranges = [7..<9, 100..<290, 0..<0, 3..<4]
    let chosen = ranges.flatMap { Array($0) }
    var results: [Matrix] = []
    for threads in [1, 3] {
      let y = ComputeContext(threads: threads).product(x, weight, rows: ranges)
      #expect(y.rows == tokens && y.columns == chosen.count)
      for token in 0..<tokens {
        for (column, row) in chosen.enumerated() {
          let exact = (0..<columns).reduce(0.0) {
            $0 + Double(x[token, $1]) * Double(w[row * columns + $1])
          }
          #expect(abs(Double(y[token, column]) - exact) <= 1e-5)
        }
      }
      results.append(y)
    }
    #expect(results[0] == results[1], "the number of threads must not matter")
  }

  /// Weights that share their input, of one type or several, give the bits of each by itself.
  @Test(arguments: [1, 33]) func productsOfOneInput(tokens: Int) throws {
    var generator = SeededGenerator(seed: UInt64(tokens))
    let columns = 600
    let weights = [(200, ElementType.bf16), (7, .f32), (97, .f16)].map { rows, element in
      WeightMatrix(
        name: "w", element: element, rows: rows, columns: columns,
        bytes: AlignedBytes(KernelTests.random(rows * columns, element, &generator).bytes))
    }
    let x = Matrix(
      rows: tokens, columns: columns,
      values: KernelTests.random(tokens * columns, .f32, &generator).values)
    let rows = weights.map { [0..<3, 5..<$0.rows] }
    for threads in [1, 3] {
      let compute = ComputeContext(threads: threads)
      let together = compute.products(
        x, zip(weights, rows).map { .init(weight: $0, rows: $1) })
      #expect(together.count == weights.count)
      for (index, weight) in weights.enumerated() {
        #expect(together[index] == compute.product(x, weight, rows: rows[index]))
      }
    }
  }

  @Test(arguments: [0, 1, 70_000]) func sums(count: Int) {
    var generator = SeededGenerator(seed: 9)
    let (a, b) = (
      KernelTests.random(count, .f32, &generator).values,
      KernelTests.random(count, .f32, &generator).values
    )
    let sum = ComputeContext(threads: 3).sum(
      Matrix(rows: count, columns: 1, values: a), Matrix(rows: count, columns: 1, values: b),
      times: 0.22)
    let right = zip(a, b).map { $0 + 0.22 * $1 }
    #expect(sum == Matrix(rows: count, columns: 1, values: right))
  }

  /// Sums over chosen rows, few tokens and many, in tiles of a width that does not divide the columns.
  @Test(arguments: [1, 6, 9, 50], KernelTests.elements)
  func untransposedProducts(tokens: Int, element: ElementType) throws {
    var generator = SeededGenerator(seed: 5)
    let (rows, columns) = (24, 523)
    let (bytes, w) = KernelTests.random(rows * columns, element, &generator)
    let weight = WeightMatrix(
      name: "w", element: element, rows: rows, columns: columns, bytes: AlignedBytes(bytes))
    for ranges in [[0..<rows], [4..<7, 0..<2, 5..<5, 9..<24]] {
      let chosen = ranges.flatMap { Array($0) }
      let x = Matrix(
        rows: tokens, columns: chosen.count,
        values: KernelTests.random(tokens * chosen.count, .f32, &generator).values)
      var results: [Matrix] = []
      for level in KernelTests.levels {
        for threads in [1, 3] {
          let compute = try #require(ComputeContext(threads: threads, level: level))
          results.append(compute.productUntransposed(x, weight, rows: ranges))
        }
      }
      for token in 0..<tokens {
        for column in 0..<columns {
          let exact = chosen.enumerated().reduce(0.0) {
            $0 + Double(x[token, $1.offset]) * Double(w[$1.element * columns + column])
          }
          for y in results where abs(Double(y[token, column]) - exact) > 1e-5 {
            Issue.record("token \(token), column \(column): \(y[token, column]), not \(exact)")
          }
        }
      }
      for pair in stride(from: 0, to: results.count, by: 2) {
        #expect(results[pair] == results[pair + 1], "the number of threads must not matter")
      }
    }
  }
}
