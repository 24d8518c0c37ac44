import Foundation
import LeanKDecoder
import Testing

@Suite struct SamplerTests {
  static let logits = Matrix(rows: 1, columns: 5, values: [1, 3, -2, 3, 0.5])

  /// Probabilities of `logits` at a temperature, by the definition.
  private func probabilities(_ temperature: Double) -> [Double] {
    let weights = Self.logits.values.map { exp(Double($0) / temperature) }
    return weights.map { $0 / weights.reduce(0, +) }
  }

  @Test func coldestIsTheLikeliestWithTiesToTheLowest() throws {
    var sampler = try #require(Sampler())
    #expect(sampler.choose(Self.logits) == 1)
  }

  /// Frequencies of many draws against the probabilities; five standard deviations pass.
  @Test(arguments: [0.5, 1.0, 3.0]) func drawsFollowTheProbabilities(temperature: Double) throws {
    var sampler = try #require(Sampler(temperature: temperature, seed: 7))
    let draws = 40_000
    var counts = [Int](repeating: 0, count: 5)
    for _ in 0..<draws { counts[sampler.choose(Self.logits)] += 1 }
    for (count, p) in zip(counts, probabilities(temperature)) {
      let deviation = (Double(draws) * p * (1 - p)).squareRoot()
      #expect(abs(Double(count) - Double(draws) * p) <= 5 * deviation + 1)
    }
  }

  /// Only the likeliest tokens that have the share together are drawn, at least one.
  @Test func topPLeavesOutTheRest() throws {
    func drawn(_ topP: Double) throws -> Set<Int> {
      var sampler = try #require(Sampler(temperature: 1, topP: topP, seed: 3))
      return Set((0..<4000).map { _ in sampler.choose(Self.logits) })
    }
    // Tokens 1 and 3 have 0.450 each, 0 has 0.061, 4 has 0.037.
    #expect(try drawn(0.001) == [1])
    #expect(try drawn(0.5) == [1, 3])
    #expect(try drawn(0.9) == [0, 1, 3])
    #expect(try drawn(0.97) == [0, 1, 3, 4])
  }

  @Test func aSeedGivesTheSameTokens() throws {
    func draws(_ seed: UInt64) throws -> [Int] {
      var sampler = try #require(Sampler(temperature: 1.5, seed: seed))
      return (0..<50).map { _ in sampler.choose(Self.logits) }
    }
    #expect(try draws(1) == draws(1))
    #expect(try draws(1) != draws(2))
  }

  @Test func impossibleSettingsAreNone() {
    for (temperature, topP) in [
      (-1.0, 1.0), (.infinity, 1), (.nan, 1), (1, 0), (1, 1.1), (1, .nan),
    ] {
      #expect(Sampler(temperature: temperature, topP: topP) == nil)
    }
  }
}
