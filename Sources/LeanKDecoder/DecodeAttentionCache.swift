public import LeanKMask

/// Keys and values of one sequence in one layer, each head with the channels its mask keeps.
///
/// In static mode a key is stored with its head's M. In windowed mode the sink and the recent tokens
/// are stored whole, and pass to the middle, where M is left of them, `accumulate` at a time: for
/// the j-th decoded token at position t, the keys k < sink and k > t - recent - (j mod accumulate)
/// are whole. A full mask in static mode is the dense cache.
public struct DecodeAttentionCache: Sendable {
  public let headDim: Int
  public let valueWidth: Int
  public let element: CacheElement
  private let window: AttentionWindow?
  private(set) var heads: [DecodeAttentionHead]
  /// Tokens given as prompt and as decoded ones.
  public private(set) var promptLength = 0
  public private(set) var decodedCount = 0

  /// An empty cache of heads that keep `kept`, one set a KV head, all of one width.
  public init(
    kept: [ChannelSet], valueWidth: Int, mode: DeploymentHints,
    emptyHeads: DecodeOptions.EmptyHeads = .absent, element: CacheElement = .f32
  ) {
    precondition(!kept.isEmpty && valueWidth > 0)
    headDim = kept[0].width
    precondition(kept.allSatisfy { $0.width == kept[0].width })
    self.valueWidth = valueWidth
    self.element = element
    window = mode.window
    heads = kept.map {
      DecodeAttentionHead(
        kept: $0, valueWidth: valueWidth, window: mode.window, emptyHeads: emptyHeads,
        element: element)
    }
  }

  public var kvHeads: Int { heads.count }
  public var count: Int { promptLength + decodedCount }

  /// Elements of keys and values held.
  public var size: CacheSize { heads.reduce(CacheSize()) { $0 + $1.size } }

  /// Bytes of keys and values that attention of one token reads.
  public var bytesRead: Int { heads.reduce(0) { $0 + $1.bytesRead } }

  /// Makes room for `tokens` tokens in all, so that none is moved before.
  public mutating func reserve(_ tokens: Int) {
    for head in heads.indices { heads[head].reserve(middle: tokens - (window?.sink ?? 0)) }
  }

  /// Adds tokens of the prompt: keys [tokens, KV heads * head_dim], values [tokens, KV heads * value
  /// width]. Decoded tokens come after.
  public mutating func appendPrompt(keys: Span<Float>, values: Span<Float>) {
    precondition(decodedCount == 0, "the prompt comes first")
    let tokens = keys.count / (kvHeads * headDim)
    promptLength += tokens
    append(tokens, keys: keys, values: values)
  }

  /// Adds a decoded token: key [KV heads * head_dim], value [KV heads * value width].
  public mutating func append(key: Span<Float>, value: Span<Float>) {
    decodedCount += 1
    append(1, keys: key, values: value)
  }

  private mutating func append(_ tokens: Int, keys: Span<Float>, values: Span<Float>) {
    let keyRow = kvHeads * headDim
    let valueRow = kvHeads * valueWidth
    precondition(keys.count == tokens * keyRow && values.count == tokens * valueRow)
    let middleEnd = middleEnd
    for head in heads.indices {
      if tokens > 1 { heads[head].reserve(middle: middleEnd - (window?.sink ?? 0)) }
      for token in 0..<tokens {
        let key = token * keyRow + head * headDim
        let value = token * valueRow + head * valueWidth
        heads[head].append(
          key: keys.extracting(key..<key + headDim),
          value: values.extracting(value..<value + valueWidth), middleEnd: middleEnd)
      }
    }
  }

  /// Where the middle ends for the newest token: the rule of the last decoded token, or what can no
  /// longer be whole for the first one that the prompt may have.
  private var middleEnd: Int {
    guard let window else { return count }
    return count - decodedCount % window.accumulate - window.recent
  }
}
