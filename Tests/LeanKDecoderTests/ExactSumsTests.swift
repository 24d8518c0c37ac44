import TestSupport
import Testing

@testable import LeanKDecoder

/// The order of sums that exact runs rely on.
@Suite struct ExactSumsTests {
  /// Whole rows with zeros and narrow rows without them give the same bits, and those of a loop that
  /// adds one product after another.
  @Test func zerosAndMissingChannelsGiveTheSameBits() {
    let seed: UInt64 = 0x6578_6163
    var generator = SeededGenerator(seed: seed)
    for (width, rows) in [(0, 3), (1, 1), (5, 8), (64, 7), (128, 17), (700, 9)] {
      let kept = (0..<width).filter { _ in Bool.random(using: &generator) }
      let x = KernelTests.random(width, .f32, &generator).values
      let w = KernelTests.random(rows * width, .f32, &generator).values
      let zeroed = (0..<rows * width).map { kept.contains($0 % width) ? w[$0] : 0 }
      let narrow = (0..<rows).flatMap { row in kept.map { w[row * width + $0] } }
      var whole = [Float](repeating: .nan, count: rows + 2)
      var gathered = whole
      orderedDots(into: &whole, at: 1, x.span, zeroed.span, .init(rows, width: width))
      let narrowX = kept.map { x[$0] }
      orderedDots(
        into: &gathered, at: 1, narrowX.span, narrow.span, .init(rows, width: kept.count))
      let expected = (0..<rows).map { row in
        var sum: Float = 0
        for channel in kept { sum += x[channel] * w[row * width + channel] }
        return sum
      }
      #expect(Array(whole[1...rows]) == expected, "seed \(seed), width \(width), rows \(rows)")
      #expect(Array(gathered[1...rows]) == expected, "seed \(seed), width \(width), rows \(rows)")
      #expect(whole[0].isNaN && whole[rows + 1].isNaN)
    }
  }
}
