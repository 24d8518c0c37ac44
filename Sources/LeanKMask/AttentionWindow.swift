/// Which keys of windowed mode are near: for the `j`-th decoded token (from 1) at position `t`,
/// `k < sink` or `k > t - recent - (j mod accumulate)`. The others are middle keys.
///
/// The rule stands here in two forms that say the same: a question about one key, which the reference
/// asks, and the place where the middle ends, from which caches compute ranges.
public struct AttentionWindow: Sendable, Hashable {
  public let sink: Int
  public let recent: Int
  public let accumulate: Int

  /// LeanK's own cache: 128 sink tokens, 768 recent ones, flushed 128 at a time.
  public static let standard = AttentionWindow(unchecked: 128, 768, 128)

  private init(unchecked sink: Int, _ recent: Int, _ accumulate: Int) {
    self.sink = sink
    self.recent = recent
    self.accumulate = accumulate
  }

  /// Fails when `sink` is negative, or `recent` or `accumulate` below 1, or any above 2^31 - 1.
  public init(sink: Int, recent: Int, accumulate: Int) throws(MaskError) {
    let limit = Int(Int32.max)
    guard (0...limit).contains(sink), (1...limit).contains(recent), (1...limit).contains(accumulate)
    else {
      throw MaskError(
        .deployment,
        "window sink \(sink), recent \(recent), accumulate \(accumulate): sink must be at least 0, "
          + "the others at least 1")
    }
    self.init(unchecked: sink, recent, accumulate)
  }

  /// The same window, every token passing to the middle by itself.
  public var unaccumulated: AttentionWindow { AttentionWindow(unchecked: sink, recent, 1) }

  /// Whether key `k` is near for the `j`-th decoded token at position `t`.
  public func isNear(key k: Int, token j: Int, position t: Int) -> Bool {
    k < sink || k > t - recent - j % accumulate
  }

  /// Where the middle ends for the `j`-th decoded token at position `t`: the keys `sink..<end` are
  /// middle ones, those from `end` on are near. At least `sink`.
  public func middleEnd(token j: Int, position t: Int) -> Int {
    max(sink, t - recent - j % accumulate + 1)
  }

  /// How many tokens a run with a prompt of `promptLength` takes until a decoded one has a middle key.
  /// nil where that is past Int's range.
  public func tokensToMiddle(promptLength: Int) -> Int? {
    // j - j mod accumulate grows in steps of accumulate: the smallest j with
    // promptLength + (j - j mod accumulate) > sink + recent.
    let missing = sink + recent - promptLength
    guard missing >= 0 else { return promptLength + 1 }
    let (tokens, overflow) = (missing / accumulate + 1).multipliedReportingOverflow(by: accumulate)
    let (count, past) = promptLength.addingReportingOverflow(tokens)
    return overflow || past ? nil : count
  }
}
