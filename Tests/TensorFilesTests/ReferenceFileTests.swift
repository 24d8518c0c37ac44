import ByteIO
import Foundation
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// Files that numpy and torch wrote, against what they say is in them.
struct ReferenceFileTests {
  static let expectations: JSONDocument? = try? JSONDocument(
    Fixtures.bytes("Tensors/expected.json"))

  static let files: [String] = expectations?.root.children.map(\.key) ?? []

  @Test func expectationsAreThere() { #expect(Self.files.count == 47) }

  @Test(arguments: files) func holdsWhatItsMakerSays(file: String) throws {
    let entries = try #require(Self.expectations?.root[file])
    let expected = try entries.children.map { _, entry in
      let parts = entry.children.map(\.value)
      let scalar = try #require(parts[1].string.flatMap(ScalarType.init))
      let bytes = try #require(parts[3].string.flatMap(Self.bytes(hex:)))
      return NamedTensor(
        name: try #require(parts[0].string),
        array: TensorArray(
          scalar: scalar, shape: parts[2].children.compactMap(\.value.integer), bytes: bytes))
    }
    #expect(try Self.read(file) == expected)
  }

  /// Where numpy leaves no choice the writers write numpy's own bytes.
  @Test(
    arguments: [
      "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
      "float32", "float64", "scalar",
    ])
  func npyWriterWritesNumpysBytes(name: String) throws {
    let file = try Fixtures.bytes("Tensors/\(name).npy")
    let array = try NpyReader.read(file.span)
    #expect(try NpyWriter.bytes(of: array) == file)
  }

  @Test func tsvWriterWritesNumpysBytes() throws {
    let file = try Fixtures.bytes("Tensors/alpha.tsv")
    let table = try TsvReader.read(file.span)
    #expect(try TsvWriter.bytes(of: table) == file)
  }

  private static func read(_ file: String) throws -> [NamedTensor] {
    let bytes = try Fixtures.bytes("Tensors/\(file)")
    switch file.split(separator: ".").last {
    case "npy": return [NamedTensor(name: "", array: try NpyReader.read(bytes.span))]
    case "npz": return try NpzReader.read(bytes.span)
    case "pth": return try PthReader.read(bytes.span)
    default: return [NamedTensor(name: "", array: try TsvReader.read(bytes.span))]
    }
  }

  private static func bytes(hex: String) -> [UInt8]? {
    let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count == hex.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map {
      UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
  }
}
