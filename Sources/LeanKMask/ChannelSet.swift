/// The channels of one KV head that a mask keeps: a fixed-width bit set, bit `c` set = channel `c` kept.
///
/// Channels are numbered as the checkpoint's projection rows are (Hugging Face order).
public struct ChannelSet: Sendable, Hashable {
  /// Number of channels of the head (`head_dim`), kept or not.
  public let width: Int
  /// Little-endian words; bits at and past `width` are always 0, so equality is set equality.
  private var words: [UInt64]

  /// The empty set over `width` channels.
  public init(width: Int) {
    precondition(width >= 0)
    self.width = width
    words = [UInt64](repeating: 0, count: (width + 63) / 64)
  }

  /// The set of `channels`, each in `0..<width`.
  public init(width: Int, channels: some Sequence<Int>) {
    self.init(width: width)
    for channel in channels { self[channel] = true }
  }

  /// The set whose channel `c` is bit `c % 64` of word `c / 64`; bits at and past `width` are dropped.
  /// There is a word for every 64 channels.
  public init(width: Int, words: [UInt64]) {
    precondition(words.count == (width + 63) / 64)
    self.width = width
    self.words = words
    if !width.isMultiple(of: 64) {
      self.words[words.count - 1] &= 1 << UInt64(width % 64) - 1
    }
  }

  /// Every channel of a head of `width` channels.
  public static func full(width: Int) -> ChannelSet {
    ChannelSet(width: width, channels: 0..<width)
  }

  /// Whether `channel` is kept.
  public subscript(channel: Int) -> Bool {
    get {
      precondition(channel >= 0 && channel < width, "channel outside the head")
      return words[channel >> 6] >> UInt64(channel & 63) & 1 == 1
    }
    set {
      precondition(channel >= 0 && channel < width, "channel outside the head")
      let bit: UInt64 = 1 << UInt64(channel & 63)
      if newValue { words[channel >> 6] |= bit } else { words[channel >> 6] &= ~bit }
    }
  }

  /// Number of kept channels, |M|.
  public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  /// The kept channels, ascending.
  public var channels: [Int] {
    var result: [Int] = []
    result.reserveCapacity(count)
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        result.append(index << 6 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
    return result
  }

  public func union(_ other: ChannelSet) -> ChannelSet {
    precondition(width == other.width)
    var result = self
    for index in words.indices { result.words[index] |= other.words[index] }
    return result
  }

  public func intersection(_ other: ChannelSet) -> ChannelSet {
    precondition(width == other.width)
    var result = self
    for index in words.indices { result.words[index] &= other.words[index] }
    return result
  }

  public func isSubset(of other: ChannelSet) -> Bool { intersection(other) == self }

  /// The set with the rotary partner of every member added: the rows a projection has to keep so
  /// that rotation stays exact.
  public func closure(under rotary: RotaryGeometry) -> ChannelSet {
    var result = self
    for channel in channels {
      if let partner = rotary.partner(of: channel) { result[partner] = true }
    }
    return result
  }
}
