import LeanKMask

/// What one KV head remembers: sink and recent tokens with whole keys, middle tokens with the kept
/// channels. Without a window every token is a middle one.
struct KVCacheHead: Sendable {
  /// What is held of middle tokens.
  enum Middle: Sendable {
    case tokens
    /// Nothing is kept of the keys, so that every score is 0 and a sum of the values is enough.
    case sum
    case absent
  }

  /// Part of the tokens, seen through the same channels.
  enum Part: Sendable {
    case sink, middle, recent
  }

  /// Which channels of a key the middle keeps.
  let kept: [Int32]
  let middleKind: Middle
  private let window: AttentionWindow?
  private(set) var sink: KVSegment
  private(set) var middle: KVSegment
  /// A ring: the token at `position` is in slot `(position - sink) % capacity`. It grows with the tokens
  /// that are near, as many as the window can have.
  private(set) var recent: KVSegment
  private var valueSum: [Double]
  /// Tokens of the middle; they begin at `window.sink`.
  private(set) var middleCount = 0
  private(set) var tokens = 0

  /// `keyWidth`: channels of the keys that are appended, of which `kept` are some. `sumsValues`: whether
  /// a sum may stand for the values of a head that keeps nothing, which adds in another order.
  init(
    kept: [Int32], keyWidth: Int, valueWidth: Int, window: AttentionWindow?,
    emptyHeads: AttentionPolicy.EmptyHeads, codec: CacheCodec, sumsValues: Bool
  ) {
    self.kept = kept
    self.window = window
    if !kept.isEmpty {
      middleKind = .tokens
    } else if window != nil, emptyHeads == .absent {
      middleKind = .absent
    } else {
      middleKind = sumsValues ? .sum : .tokens
    }
    sink = KVSegment(codec: codec, width: keyWidth, valueWidth: valueWidth)
    recent = KVSegment(codec: codec, width: keyWidth, valueWidth: valueWidth)
    middle = KVSegment(codec: codec, width: kept.count, valueWidth: valueWidth)
    valueSum = middleKind == .sum ? [Double](repeating: 0, count: valueWidth) : []
  }

  /// Elements held of the tokens seen so far.
  var size: CacheSize {
    let near = sinkCount + recentCount
    let valueWidth = recent.valueWidth
    let values =
      switch middleKind {
      case .tokens: middleCount * valueWidth
      case .sum: valueWidth
      case .absent: 0
      }
    return CacheSize(
      keys: near * recent.width + middleCount * middle.width, values: near * valueWidth + values)
  }

  private var firstMiddle: Int { window?.sink ?? 0 }
  private var sinkCount: Int { min(tokens, firstMiddle) }
  private var recentCount: Int { tokens - sinkCount - middleCount }

  // MARK: - Writing

  /// Makes room for `count` tokens in all, so that none is moved before.
  mutating func reserve(_ count: Int) {
    if middleKind == .tokens { middle.reserve(count - firstMiddle) }
    guard let window else { return }
    sink.reserve(min(count, firstMiddle))
    growRing(to: min(count, window.recent + window.accumulate - 1))
  }

  /// Makes room for `count` tokens more, the middle then reaching to `middleEnd`.
  mutating func reserveMore(_ count: Int, middleEnd: Int) {
    guard middleKind == .tokens else { return }
    middle.reserve(min(tokens + count, window == nil ? .max : max(0, middleEnd)) - firstMiddle)
  }

  /// Adds the next token, the middle then reaching to `middleEnd` at least as far as before.
  mutating func append(key: Span<Float>, value: Span<Float>, middleEnd: Int) {
    let position = tokens
    passToMiddle(upTo: min(middleEnd, position))
    if position < firstMiddle {
      sink.grow(for: position)
      sink.store(position, key: key, channels: nil, value: value)
    } else if position < middleEnd || window == nil {
      storeInMiddle(key: key, value: value)
      middleCount += 1
    } else {
      if recentCount == recent.capacity { growRing(to: max(64, 2 * recent.capacity)) }
      recent.store(slot(position), key: key, channels: nil, value: value)
    }
    tokens += 1
  }

  private func slot(_ position: Int) -> Int { (position - firstMiddle) % recent.capacity }

  /// Room for `capacity` near tokens; those that are there take the places of the larger ring.
  private mutating func growRing(to capacity: Int) {
    guard capacity > recent.capacity else { return }
    var larger = KVSegment(
      codec: recent.codec, width: recent.width, valueWidth: recent.valueWidth, capacity: capacity)
    let first = firstMiddle + middleCount
    for position in first..<first + recentCount {
      larger.copy(
        slot(position), of: recent, to: (position - firstMiddle) % larger.capacity, channels: nil)
    }
    recent = larger
  }

  private mutating func storeInMiddle(key: Span<Float>, value: Span<Float>) {
    switch middleKind {
    case .tokens:
      middle.grow(for: middleCount)
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
        middle.grow(for: middleCount)
        middle.copy(source, of: recent, to: middleCount, channels: kept)
      case .sum: recent.addValue(source, to: &valueSum)
      case .absent: break
      }
      middleCount += 1
    }
  }

  // MARK: - Reading

  /// Tokens of one part that lie one after another; the range counts places of its segment.
  struct Run: Sendable {
    let part: Part
    let tokens: Range<Int>
  }

  /// The tokens at the positions `visible` that attention reads, in ascending order of positions.
  func runs(_ visible: Range<Int>) -> [Run] {
    var runs: [Run] = []
    func add(_ part: Part, _ positions: Range<Int>, from first: Int) {
      let own = positions.clamped(to: visible)
      if !own.isEmpty {
        runs.append(Run(part: part, tokens: own.lowerBound - first..<own.upperBound - first))
      }
    }
    let recentStart = firstMiddle + middleCount
    add(.sink, 0..<sinkCount, from: 0)
    if middleKind == .tokens {
      add(.middle, firstMiddle..<max(firstMiddle, min(recentStart, tokens)), from: firstMiddle)
    }
    let near = (recentStart..<recentStart + max(0, recentCount)).clamped(to: visible)
    guard !near.isEmpty else { return runs }
    let first = slot(near.lowerBound)
    let end = min(first + near.count, recent.capacity)
    runs.append(Run(part: .recent, tokens: first..<end))
    if end - first < near.count {
      runs.append(Run(part: .recent, tokens: 0..<near.count - (end - first)))
    }
    return runs
  }

  func segment(_ part: Part) -> KVSegment {
    switch part {
    case .sink: sink
    case .middle: middle
    case .recent: recent
    }
  }

  /// State of the middle tokens for which a sum stands, nil where there are none.
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
    let sums = middleKind == .sum ? recent.valueWidth : 0
    let bytes = recent.codec.bytes(CacheSize(keys: size.keys, values: size.values - sums))
    return bytes.keys + bytes.values + sums * MemoryLayout<Double>.size
  }
}

extension KVSegment {
  /// Room for the token at `place`, with more for those that follow.
  fileprivate mutating func grow(for place: Int) {
    if place >= capacity { reserve(max(64, 2 * capacity, place + 1)) }
  }
}
