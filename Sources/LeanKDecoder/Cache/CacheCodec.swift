import CKernels

/// How keys and values lie in a cache: element type, bytes, store and load. With `cache_codec.c`, the
/// one place that knows.
public struct CacheCodec: Sendable, Hashable {
  public let element: ElementType

  public init(_ element: ElementType) { self.element = element }

  /// Tokens of one tile of keys.
  static let keyTile = Int(LEANK_KEY_TILE)

  /// Bytes of what a cache holds.
  public func bytes(_ size: CacheSize) -> (keys: Int, values: Int) {
    (size.keys * element.byteWidth, size.values * element.byteWidth)
  }

  /// Bytes of whole tiles of keys, [width, tile] each.
  func keyBytes(tokens: Int, width: Int) -> Int {
    leank_cache_key_bytes(element.code, tokens, width)
  }

  /// Bytes of rows of values.
  func valueBytes(tokens: Int, width: Int) -> Int {
    leank_cache_value_bytes(element.code, tokens, width)
  }
}
