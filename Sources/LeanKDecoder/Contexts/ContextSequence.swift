import LeanKMask
import LeanKModel

/// A context whose last tokens are looked at, and what its tokens see.
struct ContextSequence: Sendable {
  let tokens: [Int32]
  /// Tokens that go through the model densely before, once for all forms.
  let prompt: Int
  let policy: AttentionPolicy

  /// Positions of the tokens that go through by form.
  var queries: Range<Int> { prompt..<tokens.count }

  /// What the tokens of `positions` see in a layer.
  func views(
    _ positions: Range<Int>, _ attention: AttentionDescription
  ) -> [HeadAttention.View] {
    let pass = TokenPass(
      first: prompt, prompt: 0, decoded: tokens.count - prompt, decodedBefore: 0,
      middleEndBefore: 0)
    return positions.map { position in
      let visible = attention.firstVisible(position: position)..<position + 1
      let none = visible.upperBound..<visible.upperBound
      guard position >= prompt else { return .init(visible: visible, middle: none) }
      guard let window = policy.window else { return .init(visible: visible, middle: visible) }
      let end = pass.middleEnd(row: position - prompt, policy)
      let first = min(max(window.sink, visible.lowerBound), visible.upperBound)
      return .init(
        visible: visible, middle: first..<max(first, min(end, visible.upperBound)))
    }
  }
}

/// Rotated keys and values of a sequence's tokens in one layer, all heads side by side.
struct ContextKeys: Sendable {
  var keys: [Float] = []
  var values: [Float] = []

  /// Adds some tokens' rows.
  mutating func append(_ keys: Matrix, _ values: Matrix) {
    self.keys += keys.values
    self.values += values.values
  }
}
