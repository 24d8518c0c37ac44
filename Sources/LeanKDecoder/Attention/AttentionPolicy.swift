public import LeanKMask

/// How a run treats keys.
public struct AttentionPolicy: Sendable, Hashable {
  /// Which queries of windowed mode follow the window.
  public enum Prefill: String, Sendable, Hashable, CaseIterable {
    /// The prompt's own attention is dense.
    case dense
    /// Every query, with the last `recent` keys near and no accumulation.
    case windowed
  }

  /// What windowed mode does with the middle keys of an empty head.
  public enum EmptyHeads: String, Sendable, Hashable, CaseIterable {
    /// Neither K nor V takes part.
    case absent
    /// The score is 0 and V takes part.
    case zero
  }

  public var mode: DeploymentHints
  public var prefill: Prefill
  public var emptyHeads: EmptyHeads

  public init(
    mode: DeploymentHints = .static, prefill: Prefill = .dense, emptyHeads: EmptyHeads = .absent
  ) {
    self.mode = mode
    self.prefill = prefill
    self.emptyHeads = emptyHeads
  }

  /// The window that queries follow; nil in static mode.
  public var window: AttentionWindow? {
    prefill == .windowed ? mode.window?.unaccumulated : mode.window
  }

  /// How many tokens a run takes until a query has a middle key, a layer's own sliding window left
  /// aside; 0 in static mode, where there are none, nil past Int's range.
  public func tokensToMiddle(promptLength: Int) -> Int? {
    guard let window else { return 0 }
    return window.tokensToMiddle(promptLength: prefill == .windowed ? 0 : promptLength)
  }
}

/// The order in which attention adds up. No order is more right than another; they differ in rounding.
public enum SumOrder: Sendable, Hashable {
  /// As the fastest code of each form has it.
  case fast
  /// Another order of the reference's, whose distance from `fast` is the noise of a run.
  case alternative
  /// One channel after another and one key after another, ascending. A channel that is 0 on one side
  /// and not there on the other adds nothing, so that both sides give the same bits.
  case ascending
}

/// What each row of a pass is: first tokens of a prompt, then tokens decoded one by one.
struct TokenPass: Sendable {
  /// Position of the first row.
  let first: Int
  /// Rows of a prompt, which go in one pass, and of tokens decoded after it.
  let prompt: Int
  let decoded: Int
  /// Tokens decoded since the last prompt before this pass.
  let decodedBefore: Int
  /// Keys before this position that are not sink keys were middle ones before this pass, and stay so:
  /// a channel that was dropped does not come back.
  let middleEndBefore: Int

  var rows: Int { prompt + decoded }
  var positions: Range<Int> { first..<first + rows }

  /// Which decoded token since the last prompt a row is, from 1; 0 for the prompt's.
  func decodedToken(row: Int) -> Int {
    row < prompt ? 0 : (prompt > 0 ? 0 : decodedBefore) + row - prompt + 1
  }

  /// Where the middle ends for a row under `policy`: 0 where every key is seen whole.
  func middleEnd(row: Int, _ policy: AttentionPolicy) -> Int {
    guard let window = policy.window else { return 0 }
    let token = decodedToken(row: row)
    guard token > 0 || policy.prefill == .windowed else { return middleEndBefore }
    return max(middleEndBefore, window.middleEnd(token: token, position: first + row))
  }
}
