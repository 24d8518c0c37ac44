import Foundation
import TensorFiles
import TestSupport
import Testing

@testable import LeanKDecoder

/// The inner loops of every instruction set this machine has, against plain double precision.
@Suite struct KernelTests {
  static let levels = (0..<Kernels.levels).filter { Kernels(level: $0) != nil }
  static let elements: [ElementType] = [.f32, .bf16, .f16]

  /// Random numbers as stored bytes and as what they stand for.
  static func random(
    _ count: Int, _ element: ElementType, _ generator: inout SeededGenerator
  ) -> (bytes: [UInt8], values: [Float]) {
    var bytes: [UInt8] = []
    var values: [Float] = []
    for _ in 0..<count {
      let value = Float.random(in: -1...1, using: &generator)
      switch element {
      case .f32:
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
        values.append(value)
      case .bf16:
        let bits = value.bitPattern >> 16
        bytes += [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)]
        values.append(Float(bitPattern: bits << 16))
      case .f16:
        let half = Float16(value)
        bytes += [UInt8(truncatingIfNeeded: half.bitPattern), UInt8(half.bitPattern >> 8)]
        values.append(Float(half))
      }
    }
    return (bytes, values)
  }

  @Test(arguments: levels, elements)
  func productsAgreeWithDouble(level: Int, element: ElementType) throws {
    let kernels = try #require(Kernels(level: level))
    let seed: UInt64 = 0x6C65_616E
    var generator = SeededGenerator(seed: seed)
    for width in [0, 1, 4, 15, 31, 32, 70] {
      for rows in [1, 3, 4, 6] {
        for vectors in [1, 3, 4, 6] {
          let (bytes, w) = Self.random(rows * width, element, &generator)
          let x = Self.random(vectors * width, .f32, &generator).values
          var out = [Float](repeating: .nan, count: 1 + vectors * (rows + 2))
          kernels.dotRows(
            into: &out, at: 1, stride: rows + 2, x.span, .init(vectors, width: width), bytes.span,
            .init(rows, width: width), element)
          let p = Self.random(vectors * rows, .f32, &generator).values
          var sum = [Float](repeating: 1, count: vectors * width)
          kernels.addRows(
            into: &sum, stride: width, p.span, .init(vectors, width: rows), bytes.span,
            .init(rows, width: width), element)
          for v in 0..<vectors {
            for r in 0..<rows {
              let exact = (0..<width).reduce(0.0) {
                $0 + Double(x[v * width + $1]) * Double(w[r * width + $1])
              }
              #expect(
                abs(Double(out[1 + v * (rows + 2) + r]) - exact) <= 1e-5,
                "seed \(seed), width \(width), rows \(rows), vectors \(vectors)")
            }
            for c in 0..<width {
              let exact = (0..<rows).reduce(1.0) {
                $0 + Double(p[v * rows + $1]) * Double(w[$1 * width + c])
              }
              #expect(abs(Double(sum[v * width + c]) - exact) <= 1e-5, "seed \(seed)")
            }
          }
        }
      }
    }
  }

  /// A result must not depend on which others are computed with it: that is what lets runs of
  /// different token counts and head counts be compared bit for bit.
  @Test(arguments: levels, elements)
  func aProductDoesNotDependOnItsNeighbours(level: Int, element: ElementType) throws {
    let kernels = try #require(Kernels(level: level))
    var generator = SeededGenerator(seed: 7)
    let (width, rows, vectors) = (75, 11, 7)
    let bytes = Self.random(rows * width, element, &generator).bytes
    let x = Self.random(vectors * width, .f32, &generator).values
    var all = [Float](repeating: 0, count: vectors * rows)
    kernels.dotRows(
      into: &all, stride: rows, x.span, .init(vectors, width: width), bytes.span,
      .init(rows, width: width), element)
    for v in 0..<vectors {
      for r in 0..<rows {
        var one: [Float] = [0]
        let row = r * width * element.byteWidth..<(r + 1) * width * element.byteWidth
        kernels.dotRows(
          into: &one, stride: 1, x.span.extracting(v * width..<(v + 1) * width),
          .init(1, width: width), bytes.span.extracting(row), .init(1, width: width), element)
        #expect(one[0] == all[v * rows + r])
      }
    }
  }

  @Test(arguments: levels, [1, 5, 16, 17, 40, 49, 97])
  func packedProductsAgreeWithDouble(level: Int, tokens: Int) throws {
    let kernels = try #require(Kernels(level: level))
    for element in Self.elements {
      check(kernels, tokens: 0..<tokens, rows: 13, width: 70, element, tolerance: 1e-5)
    }
  }

  /// Several groups of tokens, tiles of rows and runs of channels, and a part of each after them. The
  /// longer sums differ by up to 2.8e-5.
  @Test(arguments: levels) func largePackedProductsAgreeWithDouble(level: Int) throws {
    let kernels = try #require(Kernels(level: level))
    check(kernels, tokens: 570..<581, of: 641, rows: 101, width: 519, .bf16, tolerance: 4e-5)
    check(kernels, tokens: 636..<641, of: 641, rows: 101, width: 519, .bf16, tolerance: 4e-5)
  }

  /// Multiplies `count` tokens and compares some of them.
  private func check(
    _ kernels: Kernels, tokens compared: Range<Int>, of count: Int? = nil, rows: Int, width: Int,
    _ element: ElementType, tolerance: Double
  ) {
    let tokens = count ?? compared.count
    var generator = SeededGenerator(seed: UInt64(tokens))
    let stride = rows + 2
    let (bytes, w) = Self.random(rows * width, element, &generator)
    let x = Matrix(
      rows: tokens, columns: width,
      values: Self.random(tokens * width, .f32, &generator).values)
    func multiply(_ x: Matrix, _ w: Span<UInt8>) -> [Float] {
      var out = [Float](repeating: .nan, count: x.rows * stride)
      // The last parts first: none depends on another.
      let packed = kernels.packed(x) { pack in
        for part in (0..<x.rows).blocks(of: kernels.packStep).reversed() { pack(part) }
      }
      unsafe out.withUnsafeMutableBufferPointer { out in
        unsafe kernels.multiply(into: out, at: 1, stride: stride, packed, w, element)
      }
      return out
    }
    let out = multiply(x, bytes.span)
    for t in compared {
      for r in 0..<rows {
        let exact = (0..<width).reduce(0.0) {
          $0 + Double(x[t, $1]) * Double(w[r * width + $1])
        }
        #expect(abs(Double(out[1 + t * stride + r]) - exact) <= tolerance)
      }
      // Nothing is written between the rows of `out`.
      #expect(out[t * stride].isNaN && out[t * stride + rows + 1].isNaN)
    }
    // Alone, the last token and the last row give the same bits.
    let lastToken = Matrix(rows: 1, columns: width, values: Array(x.row(tokens - 1)))
    let lastRow = bytes.suffix(width * element.byteWidth)
    let alone = multiply(lastToken, lastRow.span)
    #expect(alone[1] == out[(tokens - 1) * stride + rows])
  }

  /// All 65,536 halves: normal, subnormal, infinite, not a number.
  @Test(arguments: levels) func widensEveryBitPattern(level: Int) throws {
    let kernels = try #require(Kernels(level: level))
    let bytes = (0..<65_536).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    let halves = kernels.widen(bytes.span, .f16)
    let brains = kernels.widen(bytes.span, .bf16)
    var wrong = 0
    for pattern in 0..<65_536 {
      let half = Float(Float16(bitPattern: UInt16(pattern)))
      let same = halves[pattern].isNaN ? half.isNaN : halves[pattern].bitPattern == half.bitPattern
      if !same || brains[pattern].bitPattern != UInt32(pattern) << 16 { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test(arguments: levels) func exponentialsAgreeWithTheLibrary(level: Int) throws {
    let kernels = try #require(Kernels(level: level))
    let input = (0...2000).map { Float($0) * -0.045 } + [-Float.infinity, -88, -200, 0]
    for count in [1, 5, input.count] {
      var x = Array(input.suffix(count))
      let before = x
      let sum = kernels.exponentials(&x, 0..<count, shift: 0.25)
      var exact = 0.0
      for (found, argument) in zip(x, before) {
        let expected = exp(Double(argument - 0.25))
        exact += expected
        #expect(abs(Double(found) - expected) <= 2e-7 * expected + 1e-37)
      }
      #expect(abs(Double(sum) - exact) <= 2e-6 * exact)
    }
    var poisoned: [Float] = [0, .nan]
    #expect(kernels.exponentials(&poisoned, 0..<2, shift: 0).isNaN)
  }

  @Test(arguments: levels) func theLargestIsFoundWhereverItIs(level: Int) throws {
    let kernels = try #require(Kernels(level: level))
    for count in 0...40 {
      for place in 0..<max(count, 1) {
        var x = [Float](repeating: -2, count: count + 2)
        x[0] = 9
        x[count + 1] = 9
        if count > 0 { x[1 + place] = -1 }
        #expect(kernels.largest(x, 1..<count + 1) == (count > 0 ? -1 : -.infinity))
      }
    }
  }

  @Test(arguments: levels) func siluGradientAgreesWithDouble(level: Int) throws {
    let kernels = try #require(Kernels(level: level))
    let gate = (-300...300).map { Float($0) * 0.37 }
    let up = gate.indices.map { Float($0 % 7) - 3 }
    let given = gate.indices.map { Float($0 % 5) - 1.5 }
    var (toGate, toUp) = (given, [Float](repeating: .nan, count: gate.count))
    var gateSpan = toGate.mutableSpan
    var upSpan = toUp.mutableSpan
    kernels.siluGradient(&gateSpan, &upSpan, gate: gate.span, up: up.span)
    for index in gate.indices {
      let (x, d) = (Double(gate[index]), Double(given[index]))
      let sigmoid = 1 / (1 + exp(-x))
      let byGate = d * Double(up[index]) * sigmoid * (1 + x * (1 - sigmoid))
      #expect(abs(Double(toGate[index]) - byGate) <= 2e-6 * max(1, abs(byGate)))
      #expect(abs(Double(toUp[index]) - d * x * sigmoid) <= 2e-6 * max(1, abs(d * x)))
    }
  }

  @Test(arguments: levels) func siluAgreesWithDouble(level: Int) throws {
    let kernels = try #require(Kernels(level: level))
    let input = (-300...300).map { Float($0) * 0.37 }
    let up = input.indices.map { Float($0 % 7) - 3 }
    var gate = input
    var span = gate.mutableSpan
    kernels.siluProduct(&span, up.span)
    for index in input.indices {
      let x = Double(input[index])
      let expected = x / (1 + exp(-x)) * Double(up[index])
      #expect(abs(Double(gate[index]) - expected) <= 1e-6 * abs(expected) + 1e-35)
    }
  }

  @Test func onlyFloatingTypesAreComputedWith() {
    #expect(ElementType(.bf16) == .bf16)
    #expect(ElementType(.f8e4m3) == nil)
  }
}
