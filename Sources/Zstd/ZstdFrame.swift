public import ByteIO

/// What a zstd frame says about itself, read and walked to its end before libzstd sees a byte.
///
/// leank accepts a subset of zstd: one frame with its content size and checksum, no dictionary, a
/// window of at most 8 MiB, blocks no larger than RFC 8878 allows (libzstd takes some that are), and
/// not a byte after the frame. Skippable and legacy frames fail at the magic number, so the legacy
/// decoders, home of most of zstd's past overflows, are never reached.
public struct ZstdFrame: Sendable, Hashable {
  /// Largest window that a frame may ask for, in bytes: zstd's advice for every decoder.
  public static let windowLimit = 8 << 20
  /// Most bytes that a block decompresses to, where the window is not smaller.
  static let blockLimit = 128 << 10

  /// Bytes the frame decompresses to.
  public let contentSize: Int
  /// Bytes of history that a decoder has to keep.
  public let windowSize: Int

  /// Reads the frame that `bytes` is, all of it, up to what only decompression can show.
  public init(parsing bytes: Span<UInt8>) throws(ZstdError) {
    var cursor = ByteCursor()
    guard cursor.uint32(in: bytes) == 0xFD2F_B528 else {
      throw ZstdError(.frame, "zstd frame does not begin with 28 b5 2f fd", at: .byte(0))
    }
    guard let descriptor = cursor.uint8(in: bytes) else { throw Self.ended(at: cursor) }
    guard descriptor & 0x08 == 0 else {
      throw ZstdError(.frame, "reserved bit of the frame header is set", at: .byte(4))
    }
    guard descriptor & 0x04 != 0 else {
      throw ZstdError(.frame, "zstd frame has no checksum", at: .byte(4))
    }
    guard descriptor & 0x03 == 0 else {
      throw ZstdError(.frame, "zstd frame asks for a dictionary", at: .byte(4))
    }
    let isSingleSegment = descriptor & 0x20 != 0
    var window: Int?
    if !isSingleSegment {
      guard let byte = cursor.uint8(in: bytes) else { throw Self.ended(at: cursor) }
      let base = 1 << (10 + Int(byte >> 3))
      window = base + base / 8 * Int(byte & 7)
    }
    let size: UInt64?
    switch descriptor >> 6 {
    case 0 where !isSingleSegment:
      throw ZstdError(.frame, "zstd frame has no content size", at: .byte(4))
    case 0: size = cursor.uint8(in: bytes).map(UInt64.init)
    case 1: size = cursor.uint16(in: bytes).map { UInt64($0) + 256 }
    case 2: size = cursor.uint32(in: bytes).map(UInt64.init)
    default: size = cursor.uint64(in: bytes)
    }
    guard let size else { throw Self.ended(at: cursor) }
    // what exceeds Int exceeds every limit as well
    contentSize = Int(clamping: size)
    windowSize = window ?? contentSize
    guard windowSize <= Self.windowLimit else {
      throw ZstdError(
        .window, "zstd window of \(windowSize) bytes, the limit is \(Self.windowLimit)",
        at: .byte(5))
    }
    try walkBlocks(from: &cursor, in: bytes)
  }

  /// Passes every block and the checksum; fails unless they end with `bytes` and can hold the content.
  private func walkBlocks(
    from cursor: inout ByteCursor, in bytes: Span<UInt8>
  ) throws(ZstdError) {
    let limit = min(Self.blockLimit, windowSize)
    var reachable = 0
    var isLast = false
    while !isLast {
      let start = cursor.offset
      guard let low = cursor.uint16(in: bytes), let high = cursor.uint8(in: bytes) else {
        throw Self.ended(at: cursor)
      }
      let header = Int(low) | Int(high) << 16
      isLast = header & 1 == 1
      let size = header >> 3
      guard size <= limit else {
        throw ZstdError(
          .frame, "zstd block of \(size) bytes, a window of \(windowSize) allows \(limit)",
          at: .byte(start))
      }
      let stored: Int
      switch header >> 1 & 3 {
      case 0:
        stored = size
        reachable += size
      case 1:
        stored = 1
        reachable += size
      case 2:
        stored = size
        reachable += limit
      default:
        throw ZstdError(.frame, "zstd block of the reserved type", at: .byte(start))
      }
      guard cursor.range(stored, in: bytes) != nil else { throw Self.ended(at: cursor) }
    }
    guard cursor.range(4, in: bytes) != nil else { throw Self.ended(at: cursor) }
    guard cursor.offset == bytes.count else {
      throw ZstdError(
        .frame, "\(bytes.count - cursor.offset) bytes after the zstd frame",
        at: .byte(cursor.offset))
    }
    guard contentSize <= reachable else {
      throw ZstdError(
        .contentSize,
        "zstd frame claims \(contentSize) bytes, its blocks hold at most \(reachable)",
        at: .byte(5))
    }
  }

  private static func ended(at cursor: ByteCursor) -> ZstdError {
    ZstdError(.frame, "zstd frame is cut off", at: .byte(cursor.offset))
  }
}
