#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Bytes with value semantics, laid out for loops that stream through them: at a multiple of a
/// cache line, so that no vector load straddles two, and large ones in huge pages where the system
/// has them, since a stream of reads stops at every page's end. Arrays promise neither.
struct AlignedBytes: Sendable {
  private static let lineSize = 64
  private static let hugePageSize = 2 << 20

  /// Written only through `AlignedBytes`, and only where no copy shares it.
  @safe private final class Storage: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    /// Not initialised.
    init(count: Int) {
      let isHuge = count >= AlignedBytes.hugePageSize
      unsafe bytes = .allocate(
        byteCount: count,
        alignment: isHuge ? AlignedBytes.hugePageSize : AlignedBytes.lineSize)
      #if os(Linux)
        // Advice only: without huge pages, small ones serve.
        if isHuge { _ = unsafe madvise(bytes.baseAddress, count, CInt(MADV_HUGEPAGE)) }
      #endif
    }

    deinit { unsafe bytes.deallocate() }
  }

  private var storage: Storage

  /// No bytes.
  init() { storage = Storage(count: 0) }

  /// `count` bytes that `fill` has to initialise.
  init<Failure: Error>(
    count: Int, filledBy fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    storage = Storage(count: count)
    try unsafe fill(storage.bytes)
  }

  var count: Int { unsafe storage.bytes.count }

  /// Makes room for at least `count` bytes; new ones are 0.
  mutating func reserve(_ count: Int) {
    guard count > self.count else { return }
    replace(with: Storage(count: count))
  }

  /// Lends the bytes to `body`.
  func withSpan<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    unsafe body(Span(_unsafeBytes: UnsafeRawBufferPointer(storage.bytes)))
  }

  /// Lends the bytes to `body`, for C.
  func withBytes<Result>(_ body: (UnsafeRawPointer?) -> Result) -> Result {
    unsafe body(UnsafeRawPointer(storage.bytes.baseAddress))
  }

  /// Lends the bytes to `body` for writing.
  mutating func withMutableBytes<Result>(_ body: (UnsafeMutableRawPointer?) -> Result) -> Result {
    if !isKnownUniquelyReferenced(&storage) { replace(with: Storage(count: count)) }
    return unsafe body(storage.bytes.baseAddress)
  }

  /// Takes on `other`, at least as large: these bytes, then zeros.
  private mutating func replace(with other: Storage) {
    unsafe other.bytes.copyMemory(from: UnsafeRawBufferPointer(storage.bytes))
    unsafe UnsafeMutableRawBufferPointer(rebasing: other.bytes[count...])
      .initializeMemory(as: UInt8.self, repeating: 0)
    storage = other
  }
}
