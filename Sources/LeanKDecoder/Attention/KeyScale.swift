import LeanKMask

/// What happens to the channels of keys that are seen through a mask: all keys in static mode, the
/// middle ones in windowed mode.
enum KeyScale: Sendable, Hashable {
  /// Nothing: every key is whole.
  case none
  /// Channels outside the mask are 0, whatever is there, in the key and in the query that meets it.
  /// One set a KV head.
  case mask([ChannelSet])
  /// A factor a channel, on the key alone; [KV heads][head_dim].
  case factor([[Float]])

  /// Whether middle keys of a KV head are absent rather than scored 0.
  func isAbsent(kvHead: Int, _ emptyHeads: AttentionPolicy.EmptyHeads) -> Bool {
    guard case .mask(let kept) = self, emptyHeads == .absent else { return false }
    return kept[kvHead].isEmpty
  }

  var isNone: Bool { self == .none }

  /// Keys as they are seen, [tokens, KV heads * head_dim].
  func scaled(keys: Matrix, headDim: Int) -> Matrix {
    switch self {
    case .none: return keys
    case .mask(let kept): return Self.select(keys, kept, group: 1, headDim: headDim)
    case .factor(let factors):
      var result = keys
      for row in 0..<keys.rows {
        for (head, factor) in factors.enumerated() {
          let first = row * keys.columns + head * headDim
          for channel in factor.indices { result.values[first + channel] *= factor[channel] }
        }
      }
      return result
    }
  }

  /// Queries as they meet such keys, [tokens, query heads * head_dim], `group` heads a KV head.
  func scaled(queries: Matrix, group: Int, headDim: Int) -> Matrix {
    guard case .mask(let kept) = self else { return queries }
    return Self.select(queries, kept, group: group, headDim: headDim)
  }

  /// Puts 0 where the mask keeps nothing, also over what is not a number.
  private static func select(
    _ x: Matrix, _ kept: [ChannelSet], group: Int, headDim: Int
  ) -> Matrix {
    var result = x
    for (kvHead, set) in kept.enumerated() {
      let dropped = (0..<headDim).filter { !set[$0] }
      for head in kvHead * group..<(kvHead + 1) * group {
        for row in 0..<x.rows {
          let first = row * x.columns + head * headDim
          for channel in dropped { result.values[first + channel] = 0 }
        }
      }
    }
    return result
  }
}
