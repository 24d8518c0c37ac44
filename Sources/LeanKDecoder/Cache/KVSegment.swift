import CKernels

/// Cached tokens of one KV head whose keys have the same channels.
struct KVSegment: Sendable {
  let codec: CacheCodec
  /// Channels of a key.
  let width: Int
  let valueWidth: Int
  /// Tokens that there is room for, a multiple of the tile.
  private(set) var capacity = 0
  private(set) var keys = AlignedBytes()
  private(set) var values = AlignedBytes()

  init(codec: CacheCodec, width: Int, valueWidth: Int, capacity: Int = 0) {
    self.codec = codec
    self.width = width
    self.valueWidth = valueWidth
    reserve(capacity)
  }

  /// Makes room for `tokens` tokens.
  mutating func reserve(_ tokens: Int) {
    guard tokens > capacity else { return }
    let tile = CacheCodec.keyTile
    capacity = (tokens + tile - 1) / tile * tile
    keys.reserve(codec.keyBytes(tokens: capacity, width: width))
    values.reserve(codec.valueBytes(tokens: capacity, width: valueWidth))
  }

  /// Writes key and value of `token`, rounded to the element type; of the key those `channels`, or
  /// all when nil.
  mutating func store(
    _ token: Int, key: Span<Float>, channels: [Int32]?, value: Span<Float>
  ) {
    precondition((0..<capacity).contains(token) && value.count == valueWidth)
    precondition((channels?.count ?? key.count) == width)
    precondition(channels?.last.map { Int($0) < key.count } ?? true)
    let (width, valueWidth, code) = (width, valueWidth, codec.element.code)
    unsafe keys.withMutableBytes { keys in
      unsafe values.withMutableBytes { values in
        unsafe key.withUnsafeBufferPointer { key in
          unsafe value.withUnsafeBufferPointer { value in
            unsafe channels.withOptionalPointer { channels in
              unsafe leank_cache_store(
                keys, values, token, key.baseAddress, channels, width, value.baseAddress,
                valueWidth, code)
            }
          }
        }
      }
    }
  }

  /// Copies token `source` of `other` to `token`, which keeps `channels` of it, or all when nil.
  mutating func copy(
    _ source: Int, of other: KVSegment, to token: Int, channels: [Int32]?
  ) {
    precondition((0..<capacity).contains(token) && (0..<other.capacity).contains(source))
    precondition((channels?.count ?? other.width) == width)
    precondition(channels?.last.map { Int($0) < other.width } ?? true)
    precondition(valueWidth == other.valueWidth && codec == other.codec)
    let (width, valueWidth, code) = (width, valueWidth, codec.element.code)
    unsafe keys.withMutableBytes { keys in
      unsafe values.withMutableBytes { values in
        unsafe other.keys.withBytes { otherKeys in
          unsafe other.values.withBytes { otherValues in
            unsafe channels.withOptionalPointer { channels in
              unsafe leank_cache_move(
                keys, values, token, otherKeys, otherValues, source, channels, width, other.width,
                valueWidth, code)
            }
          }
        }
      }
    }
  }

  /// Adds the value of `token` to `sum`.
  func addValue(_ token: Int, to sum: inout [Double]) {
    precondition((0..<capacity).contains(token) && sum.count == valueWidth)
    unsafe values.withBytes { values in
      unsafe leank_cache_add_value(&sum, values, token, valueWidth, codec.element.code)
    }
  }
}

extension [Int32]? {
  /// Lends the elements for C, NULL where there are none.
  @unsafe fileprivate func withOptionalPointer<Result>(
    _ body: (UnsafePointer<Int32>?) -> Result
  ) -> Result {
    guard let self else { return body(nil) }
    return unsafe self.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
  }
}
