import ByteIO
import TestSupport
import Testing

@testable import Zstd

/// Frames were made with the zstd command, and by hand from the format's description.
@Suite struct ZstdTests {
  static let text = Array("leank leank leank leank leank leank leank".utf8)
  static let frame: [UInt8] = [
    0x28, 0xB5, 0x2F, 0xFD, 0x24, 0x29, 0x65, 0x00, 0x00, 0x30, 0x6C, 0x65, 0x61, 0x6E, 0x6B, 0x20,
    0x01, 0x00, 0x42, 0x96, 0x22, 0x8A, 0xED, 0x6F, 0xA4,
  ]
  static let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]

  @Test func decompresses() throws {
    #expect(try Zstd.decompress(Self.frame.span, count: 41) == Self.text)
    let empty: [UInt8] = Self.magic + [0x24, 0, 1, 0, 0, 0x99, 0xE9, 0xD8, 0x51]
    #expect(try Zstd.decompress(empty.span, count: 0) == [])
  }

  @Test func roundTrips() throws {
    var random = SeededGenerator(seed: 4)
    for count in [0, 1, 255, 256, 65_792, 200_000, (1 << 20) + 1] {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0..<8, using: &random) }
      let frame = try Zstd.compress(bytes.span)
      let header = try ZstdFrame(parsing: frame.span)
      #expect(header.contentSize == count)
      #expect(header.windowSize <= ZstdFrame.windowLimit)
      #expect(try Zstd.decompress(frame.span, count: count) == bytes)
    }
  }

  @Test(
    arguments: [
      ([], ZstdCode.frame),
      (Array(magic.dropLast()), .frame),
      // the magic numbers of a skippable frame and of zstd 0.7
      ([0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0], .frame),
      ([0x27, 0xB5, 0x2F, 0xFD, 0x24, 0x29], .frame),
      (magic, .frame),
      (magic + [0x2C, 0x29, 1, 0, 0, 0, 0, 0, 0], .frame),  // reserved bit
      (magic + [0x20, 0x29, 1, 0, 0], .frame),  // no checksum
      (magic + [0x25, 0, 0x29, 1, 0, 0, 0, 0, 0, 0], .frame),  // dictionary
      (magic + [0x04, 0, 1, 0, 0, 0, 0, 0, 0], .frame),  // no content size
      (magic + [0x04], .frame),
      (magic + [0x44], .frame),
      (magic + [0x44, 0, 1], .frame),
      (magic + [0x24, 0, 7, 0, 0, 0, 0, 0, 0], .frame),  // reserved block type
      (magic + [0x24, 0, 1, 0], .frame),
      (magic + [0x24, 1, 0x09, 0, 0], .frame),  // raw block without its byte
      (magic + [0x24, 1, 0x09, 0, 0, 0, 1, 2, 3], .frame),  // cut checksum
      (magic + [0x24, 1, 0x01, 0, 0x80, 0, 0, 0, 0, 0], .frame),  // block above 128 KiB
      (magic + [0x24, 1, 0x13, 0, 0, 7, 0, 0, 0, 0], .frame),  // block above the content
      (magic + [0x44, 0, 4, 4, 0x23, 0x28, 0, 7, 0, 0, 0, 0], .frame),  // above a window of 1 KiB
      (magic + [0xA4, 0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0], .frame),
      (magic + [0xE4, 1, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0], .window),
      (magic + [0xC4, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0], .contentSize),
      (magic + [0x24, 2, 0x09, 0, 0, 7, 0, 0, 0, 0], .contentSize),  // two bytes in a block of one
      (magic + [0xA4, 1, 0, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], .window),
      (magic + [0x44, 0x69, 0, 0, 1, 0, 0, 0, 0, 0, 0], .window),  // 9 MiB
      (frame + [0], .frame),
      (frame + frame, .frame),
    ] as [([UInt8], ZstdCode)]) func refusesFrames(bytes: [UInt8], code: ZstdCode)
  {
    let error = #expect(throws: ZstdError.self) { try ZstdFrame(parsing: bytes.span) }
    #expect(error?.code == code)
  }

  @Test func refusesWhatOnlyDecompressionShows() {
    var badChecksum = Self.frame
    badChecksum[24] ^= 1
    #expect(throws: ZstdError(.frame, "")) { try Zstd.decompress(badChecksum.span, count: 41) }
    #expect(throws: ZstdError(.contentSize, "")) { try Zstd.decompress(Self.frame.span, count: 40) }
    // two RLE blocks of one byte each where the frame claims one
    let longer = Self.magic + [0x24, 1, 0x0A, 0, 0, 7, 0x0B, 0, 0, 7, 0, 0, 0, 0]
    #expect(throws: ZstdError(.frame, "")) { try Zstd.decompress(longer.span, count: 1) }
  }

  @Test func everyPrefixAndFlippedBitIsRefused() {
    for length in Self.frame.indices {
      #expect(throws: ZstdError.self) {
        try Zstd.decompress(Self.frame.span.extracting(0..<length), count: 41)
      }
    }
    for bit in 0..<Self.frame.count * 8 {
      var changed = Self.frame
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      // a changed bit may leave the meaning alone (zstd's unused bit), never change it
      if let bytes = try? Zstd.decompress(changed.span, count: 41) { #expect(bytes == Self.text) }
    }
  }

  @Test func noMemoryForACompressor() {
    #expect(throws: ZstdError(.library, "")) {
      try unsafe Zstd.compress([UInt8]().span, with: nil)
    }
  }

  @Test func errorsOfTheLibraryKeepItsWords() throws {
    try Zstd.check(7)
    let error = #expect(throws: ZstdError.self) { try Zstd.check(-64) }
    #expect(error?.code == .library)
    #expect(error?.detail.contains("allocation error") == true)
  }
}
