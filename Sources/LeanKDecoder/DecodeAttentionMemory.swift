/// Bytes with value semantics at an address that is a multiple of a cache line, so that no vector
/// load of the attention loops straddles two; arrays promise less.
struct DecodeAttentionMemory: Sendable {
  private static let alignment = 64

  /// Written only through `DecodeAttentionMemory`, and only where no copy shares it.
  @safe private final class Storage: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    /// All zero.
    init(count: Int) {
      unsafe bytes = .allocate(byteCount: count, alignment: DecodeAttentionMemory.alignment)
      unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { unsafe bytes.deallocate() }
  }

  private var storage = Storage(count: 0)

  var count: Int { unsafe storage.bytes.count }

  /// Makes room for at least `count` bytes; new ones are 0.
  mutating func reserve(_ count: Int) {
    guard count > self.count else { return }
    replace(with: Storage(count: count))
  }

  /// Lends the bytes to `body`.
  func withBytes<Result>(_ body: (UnsafeRawPointer?) -> Result) -> Result {
    unsafe body(UnsafeRawPointer(storage.bytes.baseAddress))
  }

  /// Lends the bytes to `body` for writing.
  mutating func withMutableBytes<Result>(_ body: (UnsafeMutableRawPointer?) -> Result) -> Result {
    if !isKnownUniquelyReferenced(&storage) { replace(with: Storage(count: count)) }
    return unsafe body(storage.bytes.baseAddress)
  }

  private mutating func replace(with other: Storage) {
    unsafe other.bytes.copyMemory(from: UnsafeRawBufferPointer(storage.bytes))
    storage = other
  }
}
