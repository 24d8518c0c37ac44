import CKernels

/// Element type of a K/V cache; arithmetic is always f32.
public enum CacheElement: String, Sendable, Hashable, CaseIterable {
  case f32, bf16, f16

  /// Bytes of one element.
  public var size: Int { self == .f32 ? 4 : 2 }

  fileprivate var code: leank_element {
    switch self {
    case .f32: leank_f32
    case .bf16: leank_bf16
    case .f16: leank_f16
    }
  }
}

extension Kernels {
  /// Tokens of one tile of keys.
  static let keyTile = Int(LEANK_KEY_TILE)

  /// Floats of the state that one run of tokens leaves for `group` query heads.
  static func stateCount(group: Int, valueWidth: Int) -> Int { group * (2 + valueWidth) }

  /// Computes `state` from `tokens` of a segment, which are at least one.
  ///
  /// `query`: [width, group], scaled. `state`: largest score [group], sum of weights [group], sum of
  /// weighted values [group, value width].
  func attend(
    _ segment: DecodeAttentionSegment, _ tokens: Range<Int>, query: Span<Float>, group: Int,
    into state: inout MutableSpan<Float>
  ) {
    precondition(tokens.lowerBound >= 0 && !tokens.isEmpty && tokens.upperBound <= segment.capacity)
    precondition(query.count == segment.width * group && group > 0)
    precondition(state.count == Self.stateCount(group: group, valueWidth: segment.valueWidth))
    unsafe state.withUnsafeMutableBufferPointer { state in
      unsafe query.withUnsafeBufferPointer { query in
        unsafe segment.keys.withBytes { keys in
          unsafe segment.values.withBytes { values in
            var run = unsafe leank_attention_run(
              keys: keys, values: values, query: query.baseAddress, width: segment.width,
              first: tokens.lowerBound, count: tokens.count)
            unsafe leank_attention_attend(
              level, state.baseAddress, &run, group, segment.valueWidth, segment.element.code)
          }
        }
      }
    }
  }

  /// Attention over all tokens that `states` stand for, merged in their order: [group, value width].
  func merge(_ states: Span<Float>, group: Int, valueWidth: Int) -> [Float] {
    let length = Self.stateCount(group: group, valueWidth: valueWidth)
    precondition(states.count.isMultiple(of: length))
    let count = group * valueWidth
    return unsafe [Float](unsafeUninitializedCapacity: count) { out, initialized in
      unsafe states.withUnsafeBufferPointer { states in
        unsafe leank_attention_merge(
          level, out.baseAddress, states.baseAddress, states.count / length, group, valueWidth)
      }
      initialized = count
    }
  }

  /// Reads the f32 elements `range` of `bytes` once and returns their sum.
  func readStream(_ bytes: AlignedBytes, _ range: Range<Int>) -> Float {
    precondition(range.lowerBound >= 0 && range.upperBound * 4 <= bytes.count)
    return unsafe bytes.withBytes { first in
      let values = unsafe first?.assumingMemoryBound(to: Float.self)
      return unsafe leank_read_stream(
        level, values.map { unsafe $0 + range.lowerBound }, range.count)
    }
  }
}

extension DecodeAttentionSegment {
  /// Writes key and value of `token`, rounded to the element type; of the key those `channels`, or
  /// all when nil.
  mutating func store(
    _ token: Int, key: Span<Float>, channels: [Int32]?, value: Span<Float>
  ) {
    precondition((0..<capacity).contains(token) && value.count == valueWidth)
    precondition((channels?.count ?? key.count) == width)
    precondition(channels?.last.map { Int($0) < key.count } ?? true)
    unsafe keys.withMutableBytes { keys in
      unsafe values.withMutableBytes { values in
        unsafe key.withUnsafeBufferPointer { key in
          unsafe value.withUnsafeBufferPointer { value in
            if let channels {
              unsafe leank_attention_store(
                keys, values, token, key.baseAddress, channels, width, value.baseAddress,
                valueWidth,
                element.code)
            } else {
              unsafe leank_attention_store(
                keys, values, token, key.baseAddress, nil, width, value.baseAddress, valueWidth,
                element.code)
            }
          }
        }
      }
    }
  }

  /// Copies token `source` of `other`, whose keys are whole, to `token`, which keeps `channels`.
  mutating func copy(
    _ source: Int, of other: DecodeAttentionSegment, to token: Int, channels: [Int32]
  ) {
    precondition((0..<capacity).contains(token) && (0..<other.capacity).contains(source))
    precondition(channels.count == width && channels.last.map { Int($0) < other.width } ?? true)
    precondition(valueWidth == other.valueWidth && element == other.element)
    unsafe keys.withMutableBytes { keys in
      unsafe values.withMutableBytes { values in
        unsafe other.keys.withBytes { otherKeys in
          unsafe other.values.withBytes { otherValues in
            unsafe leank_attention_move(
              keys, values, token, otherKeys, otherValues, source, channels, width, other.width,
              valueWidth, element.code)
          }
        }
      }
    }
  }

  /// Adds the value of `token` to `sum`.
  func addValue(_ token: Int, to sum: inout [Double]) {
    precondition((0..<capacity).contains(token) && sum.count == valueWidth)
    unsafe values.withBytes { values in
      unsafe leank_attention_add_row(&sum, values, token, valueWidth, element.code)
    }
  }
}
