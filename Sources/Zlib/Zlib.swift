public import ByteIO
private import CZlib

/// The CRC-32 of zip, PNG and gzip, computed over bytes that arrive in pieces.
public struct CRC32: Sendable, Hashable {
  /// Checksum of the bytes so far; 0 of none.
  public private(set) var value: UInt32 = 0

  public init() {}

  public mutating func update(_ bytes: Span<UInt8>) {
    let previous = uLong(value)
    let next = unsafe bytes.withUnsafeBufferPointer { buffer in
      // zlib answers a null pointer with the initial value, forgetting what came before
      guard let base = buffer.baseAddress, !buffer.isEmpty else { return previous }
      return unsafe crc32_z(previous, base, buffer.count)
    }
    value = UInt32(truncatingIfNeeded: next)
  }

  /// Checksum of all of `bytes`.
  public static func of(_ bytes: Span<UInt8>) -> UInt32 {
    var checksum = CRC32()
    checksum.update(bytes)
    return checksum.value
  }
}

/// Raw deflate streams, as zip members hold them.
public enum Deflate {
  /// Most bytes that one byte of deflate can stand for, rounded up from 1032.
  private static let largestRatio = 1040

  /// The `count` bytes that the raw deflate stream `stream` holds.
  ///
  /// `count` comes from a file and has been checked against a limit. Output stops there: a stream
  /// that holds more or fewer bytes, ends early or does not fill `stream` is refused. A count that
  /// no stream of this length can reach is refused before anything is allocated.
  public static func inflate(_ stream: Span<UInt8>, count: Int) throws(ZlibError) -> [UInt8] {
    try unsafe inflate(stream, count: count, allocator: nil)
  }

  /// Where zlib gets its memory: items and their size. It is freed with `free`.
  typealias Allocator =
    @convention(c) (UnsafeMutableRawPointer?, UInt32, UInt32) -> UnsafeMutableRawPointer?

  /// With `allocator` nil zlib uses its own.
  static func inflate(
    _ stream: Span<UInt8>, count: Int, allocator: Allocator?
  ) throws(ZlibError) -> [UInt8] {
    precondition(count >= 0)
    let reachable = stream.count.multiplied(by: largestRatio)
    guard reachable.map({ count <= $0 }) ?? true else {
      throw ZlibError(
        .wrongSize, "\(stream.count) bytes of deflate cannot hold the declared \(count)")
    }
    var failure: ZlibError?
    let output = unsafe stream.withUnsafeBufferPointer { source in
      unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        let target = unsafe UnsafeMutableBufferPointer(rebasing: buffer[..<count])
        failure = unsafe run(source, into: target, allocator)
        initialized = failure == nil ? count : 0
      }
    }
    if let failure { throw failure }
    return output
  }

  private static func run(
    _ source: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableBufferPointer<UInt8>,
    _ allocator: Allocator?
  ) -> ZlibError? {
    var state = unsafe z_stream()
    unsafe state.zalloc = allocator
    guard unsafe leank_inflate_init_raw(&state) == Z_OK else {
      return ZlibError(.memory, "zlib has no memory for its state")
    }
    defer { unsafe inflateEnd(&state) }

    var consumed = 0
    var produced = 0
    // One byte past the declared size, to tell a stream that ends there from one that goes on.
    var excess: UInt8 = 0
    while true {
      // zlib counts in 32 bits
      let inputStep = min(source.count - consumed, Int(Int32.max))
      let outputStep = min(target.count - produced, Int(Int32.max))
      let isProbe = outputStep == 0
      let (status, inputLeft, outputLeft) = unsafe withUnsafeMutablePointer(to: &excess) { probe in
        unsafe state.next_in = source.baseAddress.map {
          unsafe UnsafeMutablePointer(mutating: $0 + consumed)
        }
        unsafe state.avail_in = uInt(inputStep)
        unsafe state.next_out = isProbe ? probe : target.baseAddress.map { unsafe $0 + produced }
        unsafe state.avail_out = uInt(isProbe ? 1 : outputStep)
        let status = unsafe CZlib.inflate(&state, Z_NO_FLUSH)
        return unsafe (status, Int(state.avail_in), Int(state.avail_out))
      }
      consumed += inputStep - inputLeft
      guard !isProbe || outputLeft == 1 else {
        return ZlibError(
          .wrongSize, "deflate stream holds more than the declared \(target.count) bytes")
      }
      if !isProbe { produced += outputStep - outputLeft }
      switch status {
      case Z_STREAM_END:
        guard produced == target.count else {
          return ZlibError(
            .wrongSize, "deflate stream holds \(produced) bytes, \(target.count) were declared")
        }
        guard consumed == source.count else {
          return ZlibError(
            .trailingBytes, "\(source.count - consumed) bytes after the end of the deflate stream",
            at: .byte(consumed))
        }
        return nil
      case Z_OK:
        continue
      case Z_BUF_ERROR:
        return ZlibError(
          .truncated, "deflate stream ends before its final block does", at: .byte(consumed))
      case Z_MEM_ERROR:
        return ZlibError(.memory, "zlib has no memory for its window")
      default:
        let reason = unsafe state.msg.map { unsafe String(cString: $0) } ?? "code \(status)"
        return ZlibError(.corrupt, "not a deflate stream: \(reason)", at: .byte(consumed))
      }
    }
  }
}
