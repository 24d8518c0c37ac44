import CKernels

extension Kernels {
  /// Floats of the state that one run of tokens leaves for `group` query heads.
  static func stateCount(group: Int, valueWidth: Int) -> Int { group * (2 + valueWidth) }

  /// Query heads of one group as the loops take them: [width, group], the scale multiplied in. The group
  /// has the heads of `rows` tokens, one token's after another's.
  struct AttentionQuery: Sendable {
    let values: [Float]
    let group: Int
    var rows = 1
    /// `cap * tanh(score / cap)` on the scores.
    let softcap: Float?
  }

  /// Computes `state` from `tokens` of a segment, which are at least one. `staggered`: the query's last
  /// row sees them all, each row before it one less than the next and at least one; else all rows see all.
  ///
  /// `state`: largest score [group], sum of weights [group], sum of weighted values [group, value
  /// width].
  func attend(
    _ segment: KVSegment, _ tokens: Range<Int>, _ query: AttentionQuery, staggered: Bool = false,
    into state: inout MutableSpan<Float>
  ) {
    precondition(
      state.count == Self.stateCount(group: query.group, valueWidth: segment.valueWidth))
    let rows = staggered ? query.rows : 1
    precondition(tokens.count >= rows && query.group.isMultiple(of: rows))
    unsafe state.withUnsafeMutableBufferPointer { state in
      unsafe withRun(segment, tokens, query, rows: rows) { run in
        unsafe leank_attention_attend(
          level, state.baseAddress, run, query.group, segment.valueWidth,
          segment.codec.element.code)
      }
    }
  }

  /// `scores[first + g * stride + i]` of the segment's i-th of `tokens`, without the cap, the products
  /// of each added in ascending order of channels.
  func scores(
    into scores: inout [Float], at first: Int, stride: Int, _ segment: KVSegment,
    _ tokens: Range<Int>, _ query: AttentionQuery
  ) {
    precondition(first >= 0 && first + (query.group - 1) * stride + tokens.count <= scores.count)
    unsafe scores.withUnsafeMutableBufferPointer { scores in
      unsafe withRun(segment, tokens, query) { run in
        unsafe leank_attention_scores(
          level, scores.baseAddress.map { unsafe $0 + first }, stride, run, query.group,
          segment.codec.element.code)
      }
    }
  }

  /// `out[g, c] += weights[first + g * stride + i] * value i`, one token after another.
  func addValues(
    into out: inout MutableSpan<Float>, _ weights: Span<Float>, at first: Int, stride: Int,
    _ segment: KVSegment, _ tokens: Range<Int>, _ query: AttentionQuery
  ) {
    precondition(first >= 0 && first + (query.group - 1) * stride + tokens.count <= weights.count)
    precondition(out.count == query.group * segment.valueWidth)
    unsafe out.withUnsafeMutableBufferPointer { out in
      unsafe weights.withUnsafeBufferPointer { weights in
        unsafe withRun(segment, tokens, query) { run in
          unsafe leank_attention_add_values(
            level, out.baseAddress, weights.baseAddress.map { unsafe $0 + first }, stride, run,
            query.group, segment.valueWidth, segment.codec.element.code)
        }
      }
    }
  }

  @unsafe private func withRun(
    _ segment: KVSegment, _ tokens: Range<Int>, _ query: AttentionQuery, rows: Int = 1,
    _ body: (UnsafePointer<leank_attention_run>) -> Void
  ) {
    precondition(tokens.lowerBound >= 0 && !tokens.isEmpty && tokens.upperBound <= segment.capacity)
    precondition(query.group > 0 && query.values.count == segment.width * query.group)
    let softcap = query.softcap ?? 0
    unsafe query.values.withUnsafeBufferPointer { query in
      unsafe segment.keys.withBytes { keys in
        unsafe segment.values.withBytes { values in
          var run = unsafe leank_attention_run(
            keys: keys, values: values, query: query.baseAddress, width: segment.width,
            first: tokens.lowerBound, count: tokens.count, rows: rows, softcap: softcap)
          unsafe body(&run)
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
