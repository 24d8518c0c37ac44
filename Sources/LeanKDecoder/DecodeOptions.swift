public import LeanKMask

/// How a run treats keys, and how much of the machine it may use.
public struct DecodeOptions: Sendable, Hashable {
  public typealias Prefill = AttentionWindow.Prefill
  public typealias EmptyHeads = AttentionWindow.EmptyHeads

  public var mode: DeploymentHints
  public var prefill: Prefill
  public var emptyHeads: EmptyHeads
  /// Whether all sides take the sums of attention in one order, so that a channel that is 0 and a
  /// channel that is not there give the same bits. Slower over long prompts.
  public var isExact: Bool
  public var threads: Int
  /// Bytes of weights of each checkpoint that may stay in memory from layer to layer.
  public var residentWeights: Int

  public init(
    mode: DeploymentHints = .static, prefill: Prefill = .dense, emptyHeads: EmptyHeads = .absent,
    isExact: Bool = false, threads: Int = 1, residentWeights: Int = 0
  ) {
    self.mode = mode
    self.prefill = prefill
    self.emptyHeads = emptyHeads
    self.isExact = isExact
    self.threads = threads
    self.residentWeights = residentWeights
  }

  /// The last middle key's successor for the query at `position`, the sink apart: keys from there
  /// on are near, keys in `sink..<result` are middle. nil when every key is seen whole.
  func middleEnd(position: Int, promptLength: Int) -> Int? {
    guard case .windowed(let window) = mode else { return nil }
    switch prefill {
    case .windowed: return max(0, position - window.recent + 1)
    case .dense:
      guard position >= promptLength else { return nil }
      let fresh = (position - promptLength + 1) % window.accumulate
      return max(0, position - window.recent - fresh + 1)
    }
  }

  /// Number of (query, key) pairs of a run in which the key is a middle one, a layer's own sliding
  /// window left aside. 0 means that a windowed run tests nothing.
  public func middlePairs(promptLength: Int, tokens: Int) -> Int {
    guard case .windowed(let window) = mode else { return 0 }
    return (0..<tokens).reduce(0) { sum, position in
      guard let end = middleEnd(position: position, promptLength: promptLength) else { return sum }
      return sum + max(0, end - window.sink)
    }
  }
}
