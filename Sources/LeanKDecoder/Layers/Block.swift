/// How attention and feed-forward are joined to the residual stream; it remembers nothing.
struct Block: Sendable {
  let isParallel: Bool
  let residualMultiplier: Float
  let attentionNorm: Norm?
  let attentionOutputNorm: Norm?
  let feedForwardNorm: Norm?
  let feedForwardOutputNorm: Norm?

  /// Takes `x`, [tokens, hidden], through a layer whose attention is `attend`, [tokens, hidden] ->
  /// [tokens, hidden] after its output projection. Returns the stream after the layer, and the
  /// attention before it joined the stream.
  func forward(
    _ x: Matrix, _ feedForward: FeedForward, _ compute: ComputeContext,
    attend: (Matrix) throws(DecoderError) -> Matrix
  ) throws(DecoderError) -> (hidden: Matrix, attention: Matrix) {
    var attended = try attend(normed(x, attentionNorm))
    attended = normed(attended, attentionOutputNorm)
    var y = x
    if isParallel {
      let other = try feedForward.forward(normed(x, feedForwardNorm), compute)
      y.add(attended, times: residualMultiplier)
      y.add(normed(other, feedForwardOutputNorm), times: residualMultiplier)
    } else {
      y.add(attended, times: residualMultiplier)
      let other = try feedForward.forward(normed(y, feedForwardNorm), compute)
      y.add(normed(other, feedForwardOutputNorm), times: residualMultiplier)
    }
    return (y, attended)
  }

  private func normed(_ x: Matrix, _ norm: Norm?) -> Matrix { norm?.forward(x) ?? x }
}
