public import ByteIO
private import CZstd

/// One-shot zstd between arrays of bytes.
public enum Zstd {
  /// One frame that holds `bytes`: content size and checksum on, one thread, fixed level.
  ///
  /// Equal input gives equal output for one version of libzstd, not across versions. Neither level
  /// asks for a window above `ZstdFrame.windowLimit`.
  public static func compress(_ bytes: Span<UInt8>) throws(ZstdError) -> [UInt8] {
    try unsafe compress(bytes, with: ZSTD_createCCtx())
  }

  /// Takes over `created`, nil where libzstd had no memory for it.
  static func compress(
    _ bytes: Span<UInt8>, with created: OpaquePointer?
  ) throws(ZstdError) -> [UInt8] {
    guard let context = unsafe created else {
      throw ZstdError(.library, "libzstd has no memory for a compressor")
    }
    defer { unsafe ZSTD_freeCCtx(context) }
    let settings: [(ZSTD_cParameter, CInt)] = [
      (ZSTD_c_compressionLevel, bytes.count <= thoroughLimit ? 19 : 3),
      (ZSTD_c_checksumFlag, 1),
      (ZSTD_c_contentSizeFlag, 1),
    ]
    for (parameter, value) in settings {
      try check(unsafe ZSTD_CCtx_setParameter(context, parameter, value))
    }
    let bound = ZSTD_compressBound(bytes.count)
    try check(bound)
    var outcome = 0
    let frame = unsafe bytes.withUnsafeBytes { source in
      unsafe [UInt8](unsafeUninitializedCapacity: bound) { buffer, initialized in
        outcome = unsafe ZSTD_compress2(
          context, buffer.baseAddress, buffer.count, source.baseAddress, source.count)
        initialized = ZSTD_isError(outcome) == 0 ? outcome : 0
      }
    }
    try check(outcome)
    return frame
  }

  /// The `count` bytes that `frame` holds.
  ///
  /// The frame is checked by our own reader first (see `ZstdFrame`); nothing is allocated unless it
  /// claims exactly `count` bytes, which the caller has checked against a limit.
  public static func decompress(_ frame: Span<UInt8>, count: Int) throws(ZstdError) -> [UInt8] {
    let header = try ZstdFrame(parsing: frame)
    guard header.contentSize == count else {
      throw ZstdError(
        .contentSize, "zstd frame claims \(header.contentSize) bytes, expected \(count)")
    }
    var outcome = 0
    let bytes = unsafe frame.withUnsafeBytes { source in
      unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        outcome = unsafe ZSTD_decompress(
          buffer.baseAddress, count, source.baseAddress, source.count)
        initialized = outcome == count ? count : 0
      }
    }
    guard outcome == count else {
      let reason =
        ZSTD_isError(outcome) == 0 ? "it holds \(outcome) bytes" : name(of: outcome)
      throw ZstdError(.frame, "zstd frame does not decompress to \(count) bytes: \(reason)")
    }
    return bytes
  }

  /// Longest input for the thorough level: beyond, it would take seconds for a few percent.
  private static let thoroughLimit = 1 << 20

  /// Fails with libzstd's own words where `code` is one of its errors, a small negative number.
  static func check(_ code: Int) throws(ZstdError) {
    guard ZSTD_isError(code) == 0 else {
      throw ZstdError(.library, "libzstd: \(name(of: code))")
    }
  }

  private static func name(of code: Int) -> String {
    unsafe String(cString: ZSTD_getErrorName(code)).lowercased()
  }
}
