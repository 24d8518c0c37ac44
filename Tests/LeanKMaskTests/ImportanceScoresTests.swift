import LeanKMask
import Testing

@Suite("Importance scores")
struct ImportanceScoresTests {
  private func code(_ kind: String, _ scalar: ImportanceScores.Scalar, _ bits: [UInt32])
    -> MaskError.Code?
  {
    do throws(MaskError) {
      _ = try ImportanceScores(kind: kind, scalar: scalar, bits: bits)
      return nil
    } catch {
      return error.code
    }
  }

  /// Patterns and values from numpy: `numpy.array(v, "<f2").view("<u2")`.
  @Test("binary16 widens as IEEE 754 says")
  func half() throws {
    let scores = try ImportanceScores(
      kind: "x", scalar: .f16,
      bits: [
        0x0000, 0x0001, 0x03FF, 0x0400, 0x3555, 0x3C00, 0x7BFF, 0xC000, 0x7C00, 0xFC00, 0x8001,
      ])
    #expect(
      scores.values == [
        0, 5.9604645e-08, 6.0975552e-05, 6.1035156e-05, 0.33325195, 1, 65504, -2, .infinity,
        -.infinity, -5.9604645e-08,
      ])
  }

  @Test("bfloat16 is the upper half of binary32")
  func brain() throws {
    let scores = try ImportanceScores(kind: "x", scalar: .bf16, bits: [0x3F80, 0x3EAB, 0xC000])
    #expect(scores.values == [1, 0.333984375, -2])
  }

  @Test("no NaN, no alpha outside 0...1, no pattern too wide")
  func refusals() {
    #expect(code("x", .f32, [0x7FC0_0000]) == .scores)
    #expect(code("x", .f16, [0x7C01]) == .scores)
    #expect(code("x", .bf16, [0x7FC0]) == .scores)
    #expect(code("x", .f16, [0x1_0000]) == .scores)
    for kind in ["", "two words", "é", "tab\t", String(repeating: "k", count: 256)] {
      #expect(code(kind, .f32, [0]) == .scores)
    }
    #expect(code(ImportanceScores.alphaKind, .f32, [Float(1.0001).bitPattern]) == .scores)
    #expect(code(ImportanceScores.alphaKind, .f32, [Float(-0.5).bitPattern]) == .scores)
    #expect(code(ImportanceScores.alphaKind, .f32, [Float(1).bitPattern, 0]) == nil)
  }

  @Test(
    "negative zero is stored as zero",
    arguments: [
      (ImportanceScores.Scalar.f32, UInt32(0x8000_0000)), (.f16, 0x8000), (.bf16, 0x8000),
    ])
  func negativeZero(scalar: ImportanceScores.Scalar, pattern: UInt32) throws {
    #expect(try ImportanceScores(kind: "x", scalar: scalar, bits: [pattern]).bits == [0])
  }
}
