import LeanKMask

/// Keys and values of one sequence in one layer, each head with the channels its mask keeps.
///
/// In static mode a key is stored with its head's M. In windowed mode the sink and the recent tokens
/// are stored whole, and pass to the middle, where M is left of them, `accumulate` at a time: for
/// the j-th decoded token at position t, the keys k < sink and k > t - recent - (j mod accumulate)
/// are whole. A full mask in static mode is the dense cache. A copy goes on by itself.
struct KVCache: Sendable {
  let valueWidth: Int
  let codec: CacheCodec
  private(set) var heads: [KVCacheHead]

  /// An empty cache. `heads`: which channels of a head's keys are kept, and how many its keys have.
  init(
    heads: [(kept: [Int32], keyWidth: Int)], valueWidth: Int, window: AttentionWindow?,
    emptyHeads: AttentionPolicy.EmptyHeads = .absent, codec: CacheCodec = CacheCodec(.f32),
    sumsValues: Bool = true
  ) {
    precondition(!heads.isEmpty && valueWidth > 0)
    self.valueWidth = valueWidth
    self.codec = codec
    self.heads = heads.map {
      KVCacheHead(
        kept: $0.kept, keyWidth: $0.keyWidth, valueWidth: valueWidth, window: window,
        emptyHeads: emptyHeads, codec: codec, sumsValues: sumsValues)
    }
  }

  /// Tokens in it.
  var count: Int { heads[0].tokens }

  /// Elements of keys and values held.
  var size: CacheSize { heads.reduce(CacheSize()) { $0 + $1.size } }

  /// Bytes of keys and values that attention of one token reads.
  var bytesRead: Int { heads.reduce(0) { $0 + $1.bytesRead } }

  /// Makes room for `tokens` tokens in all, so that none is moved before.
  mutating func reserve(_ tokens: Int) {
    for head in heads.indices { heads[head].reserve(tokens) }
  }

  /// Lends the heads to parallel work that shares them out.
  mutating func withHeads(_ body: (DisjointElements<KVCacheHead>) -> Void) {
    heads.withDisjointElements(body)
  }

  /// Adds a token, the middle then reaching to `middleEnd`: key [sum of key widths], value [heads *
  /// value width].
  mutating func append(key: Span<Float>, value: Span<Float>, middleEnd: Int) {
    var column = 0
    for head in heads.indices {
      let width = heads[head].recent.width
      heads[head].append(
        key: key.extracting(column..<column + width),
        value: value.extracting(head * valueWidth..<(head + 1) * valueWidth), middleEnd: middleEnd)
      column += width
    }
    precondition(column == key.count)
  }
}
