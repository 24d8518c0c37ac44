import LeanKMask
import LeanKModel

/// One KV head of the pruned side: what its rows are, and the keys and values it holds.
///
/// Sink and recent keys keep all channels, middle keys only M. In static mode every key is a
/// middle one.
final class RaggedHead {
  /// Consecutive tokens whose keys have one width.
  private struct Segment {
    /// Channels of a key.
    let width: Int
    /// Channels of a value; 0 where values are dropped.
    let valueWidth: Int
    var first = 0
    var count = 0
    var keys: [Float] = []
    var values: [Float] = []

    var end: Int { first + count }

    init(width: Int, valueWidth: Int) {
      self.width = width
      self.valueWidth = valueWidth
    }

    mutating func append(_ key: ArraySlice<Float>, _ value: ArraySlice<Float>) {
      keys += key
      if valueWidth > 0 { values += value }
      count += 1
    }
  }

  private struct Pair {
    let first: Int
    let second: Int
    let frequency: Int
  }

  /// Number of rows of the head, |C|.
  let rows: Int
  private let headDim: Int
  private let group: Int
  /// Where the channels of M lie among those of C.
  private let kept: [Int]
  private let pairs: [Pair]
  private let options: DecodeOptions
  private let skipsMiddle: Bool
  private var sink: Segment
  private var middle: Segment
  private var recent: Segment

  /// `rows`: the channels that the head's projections give; contains M and the partners of M.
  init(kept mask: ChannelSet, rows channels: ChannelSet, _ context: AttentionContext) {
    let list = channels.channels
    var place = [Int?](repeating: nil, count: mask.width)
    for (index, channel) in list.enumerated() { place[channel] = index }
    rows = list.count
    headDim = mask.width
    group = context.attention.group
    options = context.options
    kept = mask.channels.compactMap { place[$0] }
    pairs = context.attention.rotary.map { Self.pairs($0.geometry, list, place) } ?? []
    skipsMiddle =
      options.mode != .static && mask.isEmpty && options.emptyHeads == .absent
    sink = Segment(width: headDim, valueWidth: headDim)
    middle = Segment(width: kept.count, valueWidth: skipsMiddle ? 0 : headDim)
    recent = Segment(width: headDim, valueWidth: headDim)
  }

  private static func pairs(
    _ geometry: RotaryGeometry, _ channels: [Int], _ place: [Int?]
  ) -> [Pair] {
    channels.enumerated().compactMap { index, channel in
      guard let partner = geometry.partner(of: channel), geometry.isFirstOfPair(channel),
        let second = place[partner], let frequency = geometry.frequencyIndex(of: channel)
      else { return nil }
      return Pair(first: index, second: second, frequency: frequency)
    }
  }

  var cached: CacheSize {
    [sink, middle, recent].reduce(CacheSize()) {
      $0 + CacheSize(keys: $1.keys.count, values: $1.values.count)
    }
  }

  /// What the head sees of a call's projections: its columns of each.
  struct Input {
    let query: Matrix
    let queryColumn: Int
    let key: Matrix
    let keyColumn: Int
    let value: Matrix
    let valueColumn: Int
  }

  /// All query heads of the group over the call's tokens: [tokens, group * head_dim].
  func attend(
    _ input: Input, from position: Int, _ context: AttentionContext, sinks: ArraySlice<Float>?
  ) -> [Float] {
    var result = [Float](repeating: 0, count: input.query.rows * group * headDim)
    for row in 0..<input.query.rows {
      let now = position + row
      var key = Array(input.key.row(row).dropFirst(input.keyColumn).prefix(rows))
      rotate(&key, 0, context.rotary, position: now)
      append(
        key, input.value.row(row).dropFirst(input.valueColumn).prefix(headDim), position: now)
      if let end = options.middleEnd(position: now, promptLength: context.promptLength) {
        passToMiddle(upTo: end)
      }
      var query = Array(input.query.row(row).dropFirst(input.queryColumn).prefix(group * rows))
      for head in 0..<group { rotate(&query, head * rows, context.rotary, position: now) }
      attend(
        query, into: &result, at: row * group * headDim,
        firstKey: context.firstVisible(position: now),
        context.attention, sinks)
    }
    return result
  }

  /// Rotates the pairs of one head's rows, each with the frequency of its own channels.
  private func rotate(_ x: inout [Float], _ first: Int, _ table: RotaryTable?, position: Int) {
    guard let table else { return }
    let angles = position * table.pairs
    for pair in pairs {
      let cosine = table.cosine[angles + pair.frequency]
      let sine = table.sine[angles + pair.frequency]
      let a = x[first + pair.first]
      let b = x[first + pair.second]
      x[first + pair.first] = a * cosine - b * sine
      x[first + pair.second] = b * cosine + a * sine
    }
  }

  private func append(_ key: [Float], _ value: ArraySlice<Float>, position: Int) {
    guard case .windowed(let window) = options.mode else {
      middle.append(kept.map { key[$0] }[...], value)
      return
    }
    if position < window.sink {
      sink.append(key[...], value)
    } else {
      if recent.count == 0 { recent.first = position }
      recent.append(key[...], value)
    }
  }

  /// Moves the oldest recent keys to the middle until the recent ones begin at `end`.
  private func passToMiddle(upTo end: Int) {
    let count = min(max(0, end - recent.first), recent.count)
    guard count > 0 else { return }
    if middle.count == 0 { middle.first = recent.first }
    for index in 0..<count {
      let key = recent.keys[index * headDim..<(index + 1) * headDim]
      middle.append(
        kept.map { key[key.startIndex + $0] }[...],
        recent.values[index * headDim..<(index + 1) * headDim])
    }
    recent.keys.removeFirst(count * headDim)
    recent.values.removeFirst(count * headDim)
    recent.first += count
    recent.count -= count
  }

  /// One token's query heads against the keys held.
  private func attend(
    _ query: [Float], into result: inout [Float], at offset: Int, firstKey: Int,
    _ attention: AttentionDescription, _ sinks: ArraySlice<Float>?
  ) {
    var narrow: [Float] = []
    for head in 0..<group { narrow += kept.map { query[head * rows + $0] } }
    var parts: [(segment: Segment, visible: Range<Int>, query: [Float])] = []
    for (segment, query) in [(sink, query), (middle, narrow), (recent, query)] {
      let first = min(max(0, firstKey - segment.first), segment.count)
      if first < segment.count, segment.valueWidth > 0 {
        parts.append((segment, first..<segment.count, query))
      }
    }
    let count = parts.reduce(0) { $0 + $1.visible.count }
    var scores = [Float](repeating: 0, count: group * count)
    var column = 0
    for part in parts {
      let width = part.segment.width
      let rows = Kernels.Rows(part.visible.count, width: width)
      let keys = part.segment.keys.span.extracting(
        droppingFirst: part.visible.lowerBound * width)
      if options.isExact {
        for head in 0..<group {
          orderedDots(
            into: &scores, at: head * count + column,
            part.query.span.extracting(head * width..<(head + 1) * width), keys, rows)
        }
      } else {
        Kernels.best.dotRows(
          into: &scores, at: column, stride: count, part.query.span, .init(group, width: width),
          keys, rows)
      }
      column += part.visible.count
    }
    var factors: [Float] = []
    for head in 0..<group {
      let sink = sinks.map { $0[$0.startIndex + head] }
      factors.append(
        attention.exponentiate(&scores, head * count..<(head + 1) * count, sink: sink))
    }
    column = 0
    for part in parts {
      Kernels.best.addRows(
        into: &result, at: offset, stride: headDim, scores.span.extracting(droppingFirst: column),
        .init(group, width: part.visible.count, stride: count),
        part.segment.values.span.extracting(droppingFirst: part.visible.lowerBound * headDim),
        .init(part.visible.count, width: headDim))
      column += part.visible.count
    }
    for head in 0..<group {
      for index in offset + head * headDim..<offset + (head + 1) * headDim {
        result[index] *= factors[head]
      }
    }
  }
}
