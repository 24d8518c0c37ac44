/// Cached tokens of one KV head whose keys have the same channels.
///
/// Keys lie in tiles of `Kernels.keyTile` tokens, [width, tile] each; values in rows.
struct DecodeAttentionSegment: Sendable {
  let element: CacheElement
  /// Channels of a key.
  let width: Int
  let valueWidth: Int
  /// Tokens that there is room for, a multiple of the tile.
  private(set) var capacity = 0
  var keys = AlignedBytes()
  var values = AlignedBytes()

  init(element: CacheElement, width: Int, valueWidth: Int, capacity: Int = 0) {
    self.element = element
    self.width = width
    self.valueWidth = valueWidth
    reserve(capacity)
  }

  /// Makes room for `tokens` tokens.
  mutating func reserve(_ tokens: Int) {
    guard tokens > capacity else { return }
    capacity = (tokens + Kernels.keyTile - 1) / Kernels.keyTile * Kernels.keyTile
    keys.reserve(capacity * width * element.size)
    values.reserve(capacity * valueWidth * element.size)
  }
}
