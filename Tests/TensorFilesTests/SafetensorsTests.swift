import ByteIO
import Foundation
import TensorFiles
import TestSupport
import Testing

@Suite("safetensors")
struct SafetensorsTests {
  private func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
    let directory = try TemporaryDirectory()
    return try SafetensorsFile(path: try directory.write(bytes, to: "file.safetensors"))
  }

  private func file(_ json: String, data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(length ?? UInt64(json.utf8.count))
    writer.append(contentsOf: json.utf8)
    writer.append(contentsOf: data)
    return writer.bytes
  }

  private func code(_ bytes: [UInt8]) throws -> TensorFileCode? {
    do {
      _ = try open(bytes)
      return nil
    } catch let error as TensorFileError {
      #expect(error.path != nil)
      return error.code
    }
  }

  @Test("tensors come in the order of their data, with their bytes")
  func reading() throws {
    let json = """
      {"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]},"__metadata__":{"format":"pt"},\
      "z":{"dtype":"F32","shape":[0,3],"data_offsets":[4,4]},\
      "a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}}
      """
    let opened = try open(file(json, data: Array(0..<8)))
    #expect(opened.header.tensors.map(\.name) == ["a", "z", "b"])
    #expect(opened.header.metadata == ["format": "pt"])
    let b = try #require(opened["b"])
    #expect(try opened.array(b) == TensorArray(scalar: .u8, shape: [4], bytes: [4, 5, 6, 7]))
    #expect(opened["a"]?.rowBytes == 2)
    #expect(opened["missing"] == nil)
    #expect(opened.headerBytes == Array(file(json)))
  }

  @Test("the shards and references that transformers wrote are read")
  func foreign() throws {
    let opened = try SafetensorsFile(path: Fixtures.path("Models/leank-tiny/model.safetensors"))
    #expect(opened.header.tensors.count == 38)
    #expect(opened.header.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } == 1_016_960)
    #expect(opened["model.layers.0.self_attn.k_proj.weight"]?.shape == [128, 128])
    #expect(opened["model.layers.0.self_attn.k_proj.weight"]?.scalar == .bf16)
  }

  @Test("what is written reads back in the order given, aligned to 8 bytes")
  func writing() throws {
    let arrays = [
      (name: "é\n\"", array: TensorArray(scalar: .f16, shape: [1, 3], bytes: [1, 2, 3, 4, 5, 6])),
      (name: "a", array: TensorArray(scalar: .bool, shape: [0], bytes: [])),
      (name: "b", array: TensorArray(scalar: .i64, shape: [], bytes: Array(0..<8))),
    ]
    let bytes = encodeSafetensors(arrays, metadata: ["z": "1", "a": "2"])
    let opened = try open(bytes)
    #expect(opened.header.tensors.map(\.name) == arrays.map(\.name))
    #expect(opened.header.dataStart.isMultiple(of: 8))
    #expect(opened.header.metadata == ["z": "1", "a": "2"])
    for (name, array) in arrays { #expect(try opened.array(#require(opened[name])) == array) }
  }

  @Test("null metadata are none, as in the reference reader")
  func nullMetadata() throws {
    let entry = #"{"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
    let file = try open(file(entry, data: [7]))
    #expect(file.header.metadata.isEmpty)
    #expect(file.header.tensors.map(\.name) == ["a"])
  }

  @Test("each rule of the header has its refusal")
  func refusals() throws {
    func entry(_ dtype: String, _ shape: String, _ offsets: String) -> String {
      "{\"a\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}}"
    }
    let four: [UInt8] = [1, 2, 3, 4]
    #expect(try code([1, 0, 0]) == .truncated)
    #expect(try code(file("{}", length: 1 << 48)) == .headerLength)
    #expect(try code(file("{}", length: 3)) == .headerLength)
    #expect(try code(file("{}", length: 100_000_001)) == .headerTooLong)
    #expect(try code(file("[]")) == .headerStart)
    #expect(try code(file("")) == .headerStart)
    #expect(try code(file("{\"a\"}")) == .invalidJSON)
    #expect(try code(file("{\"__metadata__\":1}")) == .metadata)
    #expect(try code(file("{\"__metadata__\":{\"a\":1}}")) == .metadata)
    #expect(throws: TensorFileError(.tooManyTensors, "")) {
      try SafetensorsHeader(json: Array(#"{"a":0,"b":0}"#.utf8), fileSize: 21, tensorLimit: 1)
    }
    let many = (0...SafetensorsHeader.metadataLimit).map { "\"metadata key \($0)\":\"\"" }
    let metadata = "{\"__metadata__\":{" + many.joined(separator: ",") + "}}"
    #expect(try code(file(metadata)) == .tooMuchMetadata)
    #expect(try code(file("{\"\(String(repeating: "n", count: 65537))\":1}")) == .nameTooLong)
    #expect(try code(file("{\"a\":{}}")) == .entry)
    #expect(try code(file(entry("F33", "[4]", "[0,4]"), data: four)) == .scalarType)
    let ones = "[" + Array(repeating: "1", count: 65).joined(separator: ",") + "]"
    #expect(try code(file(entry("U8", ones, "[0,1]"), data: [1])) == .rank)
    #expect(try code(file(entry("U8", "[4.0]", "[0,4]"), data: four)) == .shape)
    #expect(try code(file(entry("U8", "[281474976710657]", "[0,4]"), data: four)) == .shape)
    #expect(try code(file(entry("U8", "[9999999999,9999999999]", "[0,4]"), data: four)) == .shape)
    #expect(try code(file(entry("F4", "[3]", "[0,2]"), data: [1, 2])) == .shape)
    #expect(try code(file(entry("U8", "[3]", "[0,4]"), data: four)) == .shape)
    #expect(try code(file(entry("U8", "[4]", "[4,0]"), data: four)) == .offsets)
    #expect(try code(file(entry("U8", "[3]", "[1,4]"), data: four)) == .coverage)
    #expect(try code(file(entry("U8", "[3]", "[0,3]"), data: four)) == .coverage)
    #expect(try code(file(entry("U8", "[5]", "[0,5]"), data: four)) == .truncated)
  }

  @Test(
    "a header length that begins like another format's magic number is a length",
    arguments: [0x0280, 0x8B1F, 0x0A20])
  func lengthLikeMagic(length: Int) throws {
    let json = "{" + String(repeating: " ", count: length - 2) + "}"
    #expect(try code(file(json)) == nil)
  }

  @Test(
    "what is no safetensors file is named",
    arguments: [
      ("version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
      ("<!DOCTYPE html><html>404: Not Found", "web page"), ("\u{1F}", "header length"),
    ])
  func otherFiles(text: String, word: String) throws {
    do {
      _ = try open(Array(text.utf8))
      Issue.record("opened")
    } catch let error as TensorFileError {
      #expect(error.failureClass == .malformed)
      #expect(error.description.contains(word), "\(error)")
    }
  }

  @Test("a missing file is an input failure with its path")
  func missing() throws {
    do {
      _ = try SafetensorsFile(path: "/nonexistent/x.safetensors")
      Issue.record("opened")
    } catch {
      #expect(error.failureClass == .inputOutput)
      #expect(error.description == "/nonexistent/x.safetensors: open: no such file or directory")
    }
  }

  @Test("a file that shrinks under the reader is an error of its own class")
  func shrinkingFile() throws {
    let directory = try TemporaryDirectory()
    let json = #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#
    let path = try directory.write(file(json, data: Array(0..<8)), to: "a.safetensors")
    let opened = try SafetensorsFile(path: path)
    let tensor = try #require(opened["a"])
    #expect(try opened.array(tensor).bytes == Array(0..<8))
    let positional = try PositionalFile(path: path)
    #expect(unsafe truncate(path, 9) == 0)
    for attempt in 0..<3 {
      let error = #expect(throws: TensorFileError.self) {
        switch attempt {
        case 0: _ = try SafetensorsFile(positional)
        case 1: _ = try opened.array(tensor)
        default:
          let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
          defer { unsafe buffer.deallocate() }
          try unsafe opened.read(tensor, into: buffer)
        }
      }
      #expect(error?.failureClass == .inputChanged && error?.path == path)
      #expect(error?.location == .byte(attempt == 0 ? 9 : 8 + json.utf8.count))
    }
  }
}

/// Names that `String` takes for one are two.
@Suite struct TensorNameTests {
  @Test(arguments: [("K", "\u{212A}"), ("\u{E9}", "e\u{301}")])
  func lookups(_ one: String, _ other: String) throws {
    let directory = try TemporaryDirectory()
    let array = TensorArray(scalar: .u8, shape: [1], bytes: [7])
    let bytes = encodeSafetensors([(name: one, array: array)], metadata: [UTF8Name(one): "x"])
    let file = try SafetensorsFile(path: try directory.write(bytes, to: "a.safetensors"))
    #expect(file[one] != nil)
    #expect(file[other] == nil)
    #expect(file.header.metadata[UTF8Name(one)] == "x")
    #expect(file.header.metadata[UTF8Name(other)] == nil)
  }

  @Test func membersOfAnArchive() throws {
    let array = try NpyWriter.bytes(of: TensorArray(scalar: .u8, shape: [1], bytes: [7]))
    let names = ["K", "\u{212A}", "\u{E9}", "e\u{301}"]
    let members = names.map { name in
      var member = ZipBuilder.Member(name + ".npy", array)
      // Names are UTF-8.
      member.flags = 0x0800
      return member
    }
    let found = try NpzReader.read(ZipBuilder(members).bytes.span)
    #expect(found.map { Array($0.name.utf8) } == names.map { Array($0.utf8) })
  }
}
