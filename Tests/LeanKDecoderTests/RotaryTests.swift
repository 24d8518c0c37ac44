import Foundation
import LeanKMask
import LeanKModel
import TestSupport
import Testing

@testable import LeanKDecoder

/// Rotary tables against those that transformers computed (`Generators/make_rotary.py`).
@Suite struct RotaryTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    struct Parameters: Decodable {
      let rope_type: String
      let rope_theta: Double
      let factor: Double?
      let low_freq_factor: Double?
      let high_freq_factor: Double?
      let beta_fast: Double?
      let beta_slow: Double?
      let truncate: Bool?
      let short_factor: [Double]?
      let long_factor: [Double]?
      let original_max_position_embeddings: Int?
    }

    let name: String
    let width: Int
    let length: Int
    let maximum: Int
    let parameters: Parameters
    let attention_factor: Double
    let inverse: [Float]
    let positions: [Int]
    let cosine: [[Float]]
    let sine: [[Float]]

    var testDescription: String { name }

    func scaling() throws -> RotaryScaling {
      let p = parameters
      let original = p.original_max_position_embeddings ?? maximum
      switch p.rope_type {
      case "default": return .default
      case "linear": return .linear(factor: try #require(p.factor))
      case "dynamic": return .dynamic(factor: try #require(p.factor), originalPositions: maximum)
      case "llama3":
        return .llama3(
          factor: try #require(p.factor), lowFrequencyFactor: try #require(p.low_freq_factor),
          highFrequencyFactor: try #require(p.high_freq_factor), originalPositions: original)
      case "yarn":
        return .yarn(
          factor: try #require(p.factor), originalPositions: original, betaFast: p.beta_fast ?? 32,
          betaSlow: p.beta_slow ?? 1, truncate: p.truncate ?? true,
          attentionFactor: attention_factor)
      case "longrope":
        return .longrope(
          shortFactor: try #require(p.short_factor), longFactor: try #require(p.long_factor),
          originalPositions: original, attentionFactor: attention_factor)
      default: throw FixtureError("unknown scaling \(p.rope_type)")
      }
    }
  }

  static func cases() throws -> [Case] {
    let bytes = try Fixtures.bytes("Rotary/tables.json")
    return try JSONDecoder().decode([Case].self, from: Data(bytes))
  }

  @Test(arguments: try cases()) func agreesWithTransformers(_ one: Case) throws {
    let rotary = RotaryDescription(
      geometry: try RotaryGeometry(width: one.width, pairing: .half),
      theta: one.parameters.rope_theta, scaling: try one.scaling())
    let frequencies = RotaryFrequencies(rotary, length: one.length)
    #expect(frequencies.inverse.count == one.inverse.count)
    for (found, expected) in zip(frequencies.inverse, one.inverse) {
      #expect(abs(found - expected) <= 4e-7 * expected)
    }
    for (index, position) in one.positions.enumerated() {
      let table = RotaryTable(frequencies, positions: max(0, position - 3)..<position + 2)
      for pair in 0..<table.pairs {
        // A frequency's last bit moves the angle in proportion to the position.
        let tolerance = 3e-7 + 4e-7 * Float(position) * one.inverse[pair]
        let place = table.first(at: position) + pair
        #expect(abs(table.cosine[place] - one.cosine[index][pair]) <= tolerance)
        #expect(abs(table.sine[place] - one.sine[index][pair]) <= tolerance)
      }
    }
  }
}
