import LeanKMask

/// What one KV head remembers: sink and recent tokens with whole keys, middle tokens with the kept
/// channels. Without a window every token is a middle one.
struct DecodeAttentionHead: Sendable {
  /// What is held of middle tokens.
  enum Middle: Sendable {
    case tokens
    /// Nothing is kept of the keys, every score is 0: the sum of the values says it all.
    case sum
    case absent
  }

  /// Part of the tokens, seen through the same channels.
  enum Part: Sendable {
    case sink, middle, recent
  }

  let kept: [Int32]
  let middleKind: Middle
  private let window: AttentionWindow?
  private var sink: DecodeAttentionSegment
  private var middle: DecodeAttentionSegment
  /// A ring: the token at `position` is in slot `(position - sink) % capacity`.
  private var recent: DecodeAttentionSegment
  private var valueSum: [Double]
  /// Tokens of the middle; they begin at `window.sink`.
  private(set) var middleCount = 0
  private(set) var tokens = 0

  init(
    kept: ChannelSet, valueWidth: Int, window: AttentionWindow?,
    emptyHeads: DecodeOptions.EmptyHeads, element: CacheElement
  ) {
    self.kept = kept.channels.map { Int32($0) }
    self.window = window
    middleKind =
      !kept.isEmpty ? .tokens : window != nil && emptyHeads == .absent ? .absent : .sum
    let near = { (capacity: Int) in
      DecodeAttentionSegment(
        element: element, width: kept.width, valueWidth: valueWidth, capacity: capacity)
    }
    sink = near(window?.sink ?? 0)
    recent = near(window.map { $0.recent + $0.accumulate - 1 } ?? 0)
    middle = DecodeAttentionSegment(element: element, width: kept.count, valueWidth: valueWidth)
    valueSum = middleKind == .sum ? [Double](repeating: 0, count: valueWidth) : []
  }

  /// Elements held of the tokens seen so far.
  var size: CacheSize {
    let near = sinkCount + recentCount
    let width = recent.width
    let valueWidth = recent.valueWidth
    let values =
      switch middleKind {
      case .tokens: middleCount * valueWidth
      case .sum: valueWidth
      case .absent: 0
      }
    return CacheSize(
      keys: near * width + middleCount * middle.width, values: near * valueWidth + values)
  }

  private var firstMiddle: Int { window?.sink ?? 0 }
  private var sinkCount: Int { min(tokens, firstMiddle) }
  private var recentCount: Int { tokens - sinkCount - middleCount }

  // MARK: - Writing

  /// Makes room for `count` middle tokens in all.
  mutating func reserve(middle count: Int) {
    if middleKind == .tokens { middle.reserve(count) }
  }

  /// Adds the next token, the middle then reaching to `middleEnd` at least as far as before.
  mutating func append(key: Span<Float>, value: Span<Float>, middleEnd: Int) {
    let position = tokens
    passToMiddle(upTo: min(middleEnd, position))
    if position < firstMiddle {
      sink.store(position, key: key, channels: nil, value: value)
    } else if position < middleEnd || window == nil {
      storeInMiddle(key: key, value: value)
      middleCount += 1
    } else {
      recent.store(slot(position), key: key, channels: nil, value: value)
    }
    tokens += 1
  }

  private func slot(_ position: Int) -> Int { (position - firstMiddle) % recent.capacity }

  private mutating func storeInMiddle(key: Span<Float>, value: Span<Float>) {
    switch middleKind {
    case .tokens:
      growMiddle()
      middle.store(middleCount, key: key, channels: kept, value: value)
    case .sum:
      // Through the segment's first token, so that the value is rounded as stored ones are.
      middle.reserve(1)
      middle.store(0, key: key, channels: kept, value: value)
      middle.addValue(0, to: &valueSum)
    case .absent: break
    }
  }

  private mutating func passToMiddle(upTo end: Int) {
    while firstMiddle + middleCount < end {
      let source = slot(firstMiddle + middleCount)
      switch middleKind {
      case .tokens:
        growMiddle()
        middle.copy(source, of: recent, to: middleCount, channels: kept)
      case .sum: recent.addValue(source, to: &valueSum)
      case .absent: break
      }
      middleCount += 1
    }
  }

  private mutating func growMiddle() {
    if middleCount == middle.capacity { middle.reserve(max(1024, middle.capacity * 2)) }
  }

  // MARK: - Reading

  /// Tokens to attend to, cut into pieces of at most `chunk`; each range counts its segment's tokens.
  func pieces(chunk: Int) -> [(part: Part, tokens: Range<Int>)] {
    var pieces: [(Part, Range<Int>)] = []
    func cut(_ part: Part, _ range: Range<Int>) {
      for first in stride(from: range.lowerBound, to: range.upperBound, by: chunk) {
        pieces.append((part, first..<min(first + chunk, range.upperBound)))
      }
    }
    cut(.sink, 0..<sinkCount)
    if middleKind == .tokens { cut(.middle, 0..<middleCount) }
    if recentCount > 0 {
      let first = slot(firstMiddle + middleCount)
      let end = min(first + recentCount, recent.capacity)
      cut(.recent, first..<end)
      cut(.recent, 0..<recentCount - (end - first))
    }
    return pieces
  }

  func segment(_ part: Part) -> DecodeAttentionSegment {
    switch part {
    case .sink: sink
    case .middle: middle
    case .recent: recent
    }
  }

  /// State of the middle tokens of a head that keeps no channel, nil where they are absent or none.
  func summedState(group: Int) -> [Float]? {
    guard middleKind == .sum, middleCount > 0 else { return nil }
    var state = [Float](repeating: 0, count: group)
    state += [Float](repeating: Float(middleCount), count: group)
    let sum = valueSum.map { Float($0) }
    for _ in 0..<group { state += sum }
    return state
  }

  /// Bytes that attention reads of keys and values.
  var bytesRead: Int {
    let elements = size
    let sums = middleKind == .sum ? recent.valueWidth : 0
    return (elements.keys + elements.values - sums) * recent.element.size + sums * 8
  }
}
