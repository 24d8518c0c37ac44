import Foundation
import LeanKMask
import TestSupport
import Testing

struct MaskSelectionTests {
  /// Scores as `Fixtures/Generators/make_selection.py` draws them.
  private struct RandomCase {
    let layers: [LayerGeometry]
    let scores: ImportanceScores
    let ratio: Double
    let unit: Int

    init(seed: UInt64) throws {
      var generator = SeededGenerator(seed: seed)
      let count = 1 + Int(generator.next() % 4)
      let heads = 1 + Int(generator.next() % 4)
      let width = [8, 16, 20, 64][Int(generator.next() % 4)]
      unit = [1, 4, 8, 16, 3][Int(generator.next() % 5)]
      ratio = Double(generator.next() % 101) / 100
      let kind = generator.next() % 4
      var values: [Float] = []
      for _ in 0..<count * heads * width {
        let word = generator.next()
        switch kind {
        case 0: values.append(Float(word >> 40) * 0x1p-24)
        case 1: values.append(Float(word % 9) / 8)
        case 2: values.append(word % 10 < 7 ? 0 : Float(word >> 40) * 0x1p-24)
        default: values.append((Float(word % 33) - 16) / 16)
        }
      }
      let geometry = try LayerGeometry(kvHeads: heads, headDim: width)
      layers = [LayerGeometry](repeating: geometry, count: count)
      scores = try ImportanceScores(kind: "random", values: values)
    }
  }

  private struct Expectations: Decodable {
    let cases: [String]
  }

  @Test func leankRuleIsNumpys() throws {
    let data = Data(try Fixtures.bytes("Selection/leank_rule.json"))
    let expected = try JSONDecoder().decode(Expectations.self, from: data).cases
    #expect(expected.count == 1000)
    for (seed, line) in expected.enumerated() {
      let random = try RandomCase(seed: UInt64(seed))
      let selection = try MaskSelection(
        scores: random.scores, layers: random.layers, ratio: random.ratio, unit: random.unit,
        rule: .leank)
      let hash = Self.hash(of: selection.mask)
      let digits = String(hash, radix: 16)
      let text = String(repeating: "0", count: 16 - digits.count) + digits
      #expect("\(text) \(selection.mask.keptCount)" == line, "seed \(seed)")
    }
  }

  @Test(arguments: [Alignment.Rule.leank, .budget], RotaryPairing.allCases)
  func pairsMakeTheMaskItsOwnClosure(rule: Alignment.Rule, pairing: RotaryPairing) throws {
    for (seed, width) in [(UInt64(1), 16), (2, 8), (3, 0), (4, 12)] {
      var generator = SeededGenerator(seed: seed)
      let rotary = try RotaryGeometry(width: width, pairing: pairing)
      let geometry = try LayerGeometry(
        kvHeads: 3, headDim: 16, attention: AttentionGeometry(queryHeads: 3, rotary: rotary))
      let values = (0..<2 * 3 * 16).map { _ in Float(generator.next() % 64) / 64 }
      let selection = try MaskSelection(
        scores: try ImportanceScores(kind: "random", values: values), layers: [geometry, geometry],
        ratio: 0.5, unit: 4, rule: rule, pairs: true)
      #expect(try selection.mask.closed == selection.mask, "seed \(seed)")
      #expect(selection.alignment.isMet(by: selection.mask), "seed \(seed)")
      if rule == .budget { #expect(selection.mask.keptCount == 48, "seed \(seed)") }
    }
  }

  @Test func groupsOfAHeadAreKeptInOrder() throws {
    // Head 0 has groups of 17, 10 and 3, head 1 of 12, 10 and 8: the tie goes to the lower head.
    let layer = try LayerGeometry(kvHeads: 2, headDim: 6)
    let scores = try ImportanceScores(
      kind: "hand", values: [9, 1, 8, 2, 7, 3, 6, 6, 5, 5, 4, 4])
    let selection = try MaskSelection(
      scores: scores, layers: [layer], ratio: 0.5, unit: 2, rule: .budget)
    #expect(selection.mask.layers[0].heads.map(\.channels) == [[0, 2, 4, 5], [0, 1]])
    #expect(selection.alignment.targetRatio == 0.5)
    #expect(selection.warnings.isEmpty)
  }

  @Test func heavyZerosMakeTheOfficialRuleDrift() throws {
    let layer = try LayerGeometry(kvHeads: 1, headDim: 10)
    let scores = try ImportanceScores(kind: "hand", values: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    let selection = try MaskSelection(
      scores: scores, layers: [layer], ratio: 0.5, unit: 4, rule: .leank)
    #expect(selection.mask.keptCount == 10)
    #expect(
      selection.warnings == [
        .partialGroup(unit: 4, headDim: 10), .ratioDrift(target: 0.5, realised: 0),
      ])
    #expect(
      selection.warnings.map(\.description) == [
        "unit 4 does not divide head_dim 10",
        "asked to prune 0.5 of the channels, the rule prunes 0.0",
      ])
  }

  @Test func refusals() throws {
    let layer = try LayerGeometry(kvHeads: 1, headDim: 4)
    let odd = try LayerGeometry(kvHeads: 1, headDim: 3)
    func attempt(
      _ values: [Float], _ layers: [LayerGeometry], ratio: Double = 0.5, unit: Int = 2,
      rule: Alignment.Rule = .budget, pairs: Bool = false
    ) throws -> MaskSelection {
      try MaskSelection(
        scores: try ImportanceScores(kind: "hand", values: values), layers: layers, ratio: ratio,
        unit: unit, rule: rule, pairs: pairs)
    }
    let good: [Float] = [1, 2, 3, 4]
    let scores = MaskError(.scores, "")
    let alignment = MaskError(.alignment, "")
    #expect(throws: scores) { try attempt([1, 2, 3], [layer]) }
    #expect(throws: scores) { try attempt([], []) }
    #expect(throws: scores) { try attempt([1, 2, 3, .infinity], [layer]) }
    #expect(throws: alignment) { try attempt(good, [layer], ratio: 1.5) }
    #expect(throws: alignment) { try attempt(good, [layer], unit: 0) }
    #expect(throws: alignment) { try attempt(good, [layer], unit: .max) }
    #expect(throws: alignment) { try attempt(good, [layer], rule: .given) }
    #expect(throws: alignment) { try attempt(good, [layer], unit: 1, pairs: true) }
    #expect(throws: alignment) { try attempt([1, 2, 3], [odd], pairs: true) }
  }

  /// FNV-1a over the mask's bits in layer, head, channel order, eight to a byte, lowest first.
  private static func hash(of mask: ChannelMask) -> UInt64 {
    var bytes: [UInt8] = []
    var position = 0
    for head in mask.layers.flatMap(\.heads) {
      for channel in 0..<head.width {
        if position % 8 == 0 { bytes.append(0) }
        if head[channel] { bytes[bytes.count - 1] |= 1 << UInt8(position % 8) }
        position += 1
      }
    }
    return bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
