import LeanKDecoder
import Testing

/// Numbers from numpy and torch on the same small logits; the commands stand beside them.
@Suite struct LogitComparisonTests {
  /// a = numpy.array([[1, 2, 3], [0.5, -1, 0.25], [4, 4, 1]], dtype='f4')
  static let a = Matrix(rows: 3, columns: 3, values: [1, 2, 3, 0.5, -1, 0.25, 4, 4, 1])
  /// b = a + [[0, 0, -1.5], [0.125, 0, 0], [0, 0.5, 0]]
  static let b = Matrix(rows: 3, columns: 3, values: [1, 2, 1.5, 0.625, -1, 0.25, 4, 4.5, 1])

  @Test func agreesWithTorch() throws {
    let found = LogitComparison(reference: Self.a, other: Self.b)
    #expect(found.maximum == 1.5)
    #expect(abs(found.mean - 0.2361111111111111) < 1e-12)
    // torch.nn.functional.kl_div(log_softmax(b), log_softmax(a), log_target=True, reduction='none')
    //   .sum(-1).max(), in float64
    #expect(abs(found.maximumDivergence - 0.2705251398595869) < 1e-12)
    // Row 0 differs; in row 2 the first of two equal logits counts.
    #expect(abs(found.topAgreement - 1.0 / 3) < 1e-12)
    #expect(found.firstDisagreement == 0)
    // torch.nn.functional.cross_entropy(a[:2], [1, 0]), in float64
    #expect(abs(try #require(Self.a.nextTokenLoss([0, 1, 0])) - 1.0508590754231473) < 1e-12)
    // torch.nn.functional.cross_entropy(a[1:2], [0]), in float64
    #expect(
      abs(try #require(Self.a.nextTokenLoss([0, 1, 0], from: 1)) - 0.6941121864019144) < 1e-12)
    #expect(Matrix(rows: 1, columns: 2).nextTokenLoss([0]) == nil)
  }

  @Test func notANumberIsADifference() {
    var poisoned = Self.a
    poisoned[1, 1] = .nan
    #expect(LogitComparison(reference: Self.a, other: poisoned).maximum == Float.infinity)
    #expect(LogitComparison(reference: poisoned, other: poisoned).maximum == Float.infinity)
  }

  @Test func equalLogitsAgree() {
    let same = LogitComparison(reference: Self.a, other: Self.a)
    #expect(same.maximum == 0 && same.mean == 0 && same.maximumDivergence == 0)
    #expect(same.topAgreement == 1 && same.firstDisagreement == nil)
  }

  @Test func toleranceGrowsWithTheLogits() {
    #expect(LogitComparison.tolerance(reference: Self.a) == 3e-5)
    let large = Matrix(rows: 1, columns: 2, values: [3, -32])
    #expect(LogitComparison.tolerance(reference: large) == 3e-5 * 4)
  }
}
