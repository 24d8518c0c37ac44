import ByteIO
import Foundation
import Testing

@testable import Zlib

/// Streams and checksums were made with Python's zlib.
@Suite struct ZlibTests {
  static let text = Array("leank leank leank leank".utf8)
  static let stream: [UInt8] = [203, 73, 77, 204, 203, 86, 200, 65, 39, 1]

  @Test func checksumInPieces() {
    #expect(CRC32.of(Self.text.span) == 2_537_085_446)
    #expect(CRC32().value == 0)
    var pieces = CRC32()
    for length in [0, 5, 0, 18] {
      let start = length == 18 ? 5 : 0
      pieces.update(Self.text.span.extracting(start..<start + length))
    }
    #expect(pieces.value == 2_537_085_446)
    pieces.update([UInt8]().span)
    #expect(pieces.value == 2_537_085_446)
  }

  @Test func inflates() throws {
    #expect(try Deflate.inflate(Self.stream.span, count: 23) == Self.text)
    #expect(try Deflate.inflate([3, 0].span, count: 0) == [])
    let stored: [UInt8] = [1, 3, 0, 252, 255, 97, 98, 99]
    #expect(try Deflate.inflate(stored.span, count: 3) == [97, 98, 99])
  }

  @Test func highestRatio() throws {
    let zeros: [UInt8] =
      [237, 193, 49, 1, 0, 0, 0, 194, 160, 245, 79, 109, 13, 15, 160]
      + [UInt8](repeating: 0, count: 96) + [128, 87, 3]
    #expect(
      try Deflate.inflate(zeros.span, count: 100_000) == [UInt8](repeating: 0, count: 100_000))
    #expect(throws: ZlibError(.wrongSize, "")) {
      try Deflate.inflate(zeros.span, count: 1_000_000_000)
    }
  }

  @Test(arguments: [
    ([UInt8](), 0, ZlibCode.truncated),
    (Array(stream.dropLast()), 23, .truncated),
    (stream, 22, .wrongSize),
    (stream, 24, .wrongSize),
    (stream, 0, .wrongSize),
    (stream + [0], 23, .trailingBytes),
    ([7, 0], 10, .corrupt),
    ([], 1, .wrongSize),
  ]) func refusesStreams(bytes: [UInt8], count: Int, code: ZlibCode) {
    let error = #expect(throws: ZlibError.self) { try Deflate.inflate(bytes.span, count: count) }
    #expect(error?.code == code)
  }

  @Test func everyPrefixIsRefused() {
    for length in Self.stream.indices {
      #expect(throws: ZlibError.self) {
        try Deflate.inflate(Self.stream.span.extracting(0..<length), count: 23)
      }
    }
  }

  @Test func noMemoryForTheState() {
    #expect(throws: ZlibError(.memory, "")) {
      try unsafe Deflate.inflate(Self.stream.span, count: 23) { _, _, _ in nil }
    }
  }

  /// zlib asks for its state as one item and for its window as many bytes.
  @Test func noMemoryForTheWindow() throws {
    #expect(throws: ZlibError(.memory, "")) {
      try unsafe Deflate.inflate(Self.stream.span, count: 23) { _, items, size in
        items == 1 ? unsafe malloc(Int(size)) : nil
      }
    }
  }
}
