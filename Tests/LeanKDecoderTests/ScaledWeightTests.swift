import StrictJSON
import TensorFiles
import TestSupport
import Testing

@testable import LeanKDecoder

@Suite struct ScaledWeightTests {
  /// All 256 codes of both 8-bit types are what torch reads them as.
  @Test(arguments: [("float8_e4m3fn", ScalarType.f8e4m3), ("float8_e5m2", .f8e5m2)])
  func codesAreThoseOfTorch(name: String, scalar: ScalarType) throws {
    let document = try JSONDocument(try Fixtures.bytes("Quantised/float8.json"))
    let expected = try #require(document.root[name]).children.map(\.value)
    try #require(expected.count == 256)
    let values = try #require(ScaledWeight.values(of: scalar))
    for (code, element) in expected.enumerated() {
      switch element.string {
      case "inf": #expect(values[code] == .infinity)
      case "-inf": #expect(values[code] == -.infinity)
      default:
        if element.isNull {
          #expect(values[code].isNaN, "\(code)")
        } else {
          #expect(values[code] == element.double.map(Float.init), "\(code)")
        }
      }
    }
  }
}
