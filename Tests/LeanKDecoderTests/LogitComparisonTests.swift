import LeanKDecoder
import Testing

/// Numbers from numpy and torch on the same small logits; the commands stand beside them.
@Suite struct LogitComparisonTests {
  /// a = numpy.array([[1, 2, 3], [0.5, -1, 0.25], [4, 4, 1]], dtype='f4')
  static let a = Matrix(rows: 3, columns: 3, values: [1, 2, 3, 0.5, -1, 0.25, 4, 4, 1])
  /// b = a + [[0, 0, -1.5], [0.125, 0, 0], [0, 0.5, 0]]
  static let b = Matrix(rows: 3, columns: 3, values: [1, 2, 1.5, 0.625, -1, 0.25, 4, 4.5, 1])

  /// A table of both, `block` of the vocabulary at a time.
  private static func table(
    _ a: Matrix, _ b: Matrix, tokens: [Int32] = [0, 1, 0], block: Int = 3
  ) -> LogitTable {
    var table = LogitTable(
      sides: 2, tokens: tokens, comparing: [LogitTable.Pair(reference: 0, other: 1)])
    for first in stride(from: 0, to: a.columns, by: block) {
      let range = first..<min(first + block, a.columns)
      let parts = [a, b].map { whole in
        Matrix(
          rows: whole.rows, columns: range.count,
          values: (0..<whole.rows).flatMap { row in range.map { whole[row, $0] } })
      }
      table.add(range, parts, ComputeContext(threads: 2))
    }
    return table
  }

  @Test(arguments: [1, 2, 3]) func agreesWithTorch(block: Int) throws {
    let table = Self.table(Self.a, Self.b, block: block)
    let found = table.comparison(0)
    #expect(found.maximum == 1.5)
    #expect(found.byPosition == [1.5, 0.125, 0.5])
    #expect(found.firstPosition(beyond: 0.5) == 0)
    #expect(abs(found.mean - 0.2361111111111111) < 1e-12)
    // torch.nn.functional.kl_div(log_softmax(b), log_softmax(a), log_target=True, reduction='none')
    //   .sum(-1), in float64: .max() and .mean()
    #expect(abs(try #require(found.maximumDivergence) - 0.2705251398595869) < 1e-12)
    #expect(abs(try #require(found.meanDivergence) - 0.1011708434206154) < 1e-12)
    // Row 0 differs; in row 2 the first of two equal logits counts.
    #expect(abs(found.topAgreement - 1.0 / 3) < 1e-12)
    #expect(found.firstDisagreement == 0)
    // torch.nn.functional.cross_entropy(a[:2], [1, 0]), in float64
    #expect(abs(try #require(table.loss(side: 0)) - 1.0508590754231473) < 1e-12)
    #expect(table.magnitude(side: 1) == 4.5)
    let single = Self.table(
      Matrix(rows: 1, columns: 2), Matrix(rows: 1, columns: 2), tokens: [0], block: 2)
    #expect(single.loss(side: 0) == nil)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func whatIsNotFiniteIsNamed(value: Float) throws {
    var poisoned = Self.a
    poisoned[1, 1] = value
    let table = Self.table(Self.a, poisoned)
    #expect(table.firstNonFinite(side: 0) == nil)
    #expect(table.firstNonFinite(side: 1) == 1)
    let found = table.comparison(0)
    #expect(found.maximum == .infinity)
    #expect(found.maximumDivergence == nil && found.meanDivergence == nil)
    #expect(table.loss(side: 1) == nil)
    #expect(Self.table(poisoned, poisoned).comparison(0).maximum == .infinity)
  }

  @Test func equalLogitsAgree() {
    let same = Self.table(Self.a, Self.a, block: 2).comparison(0)
    #expect(same.maximum == 0 && same.mean == 0 && same.maximumDivergence == 0)
    #expect(same.topAgreement == 1 && same.firstDisagreement == nil)
  }
}
