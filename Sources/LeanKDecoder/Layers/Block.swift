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
  /// attention before it joined the stream. `record` gets what a backward pass needs, unless it is nil.
  func forward(
    _ x: Matrix, _ feedForward: FeedForward, _ compute: ComputeContext,
    record: inout LayerRecord?, attend: (Matrix) throws(DecoderError) -> Matrix
  ) throws(DecoderError) -> (hidden: Matrix, attention: Matrix) {
    record?.input = x
    let attentionInput = normed(x, attentionNorm, compute)
    record?.attentionInput = attentionInput
    let attentionOutput = try attend(attentionInput)
    if attentionOutputNorm != nil { record?.attentionOutput = attentionOutput }
    let attended = normed(attentionOutput, attentionOutputNorm, compute)
    var y = isParallel ? x : compute.sum(x, attended, times: residualMultiplier)
    record?.middle = y
    let feedForwardInput = normed(y, feedForwardNorm, compute)
    record?.feedForwardInput = feedForwardInput
    let other = try feedForward.forward(feedForwardInput, compute, record: &record)
    if feedForwardOutputNorm != nil { record?.feedForwardOutput = other }
    if isParallel { y = compute.sum(y, attended, times: residualMultiplier) }
    let output = normed(other, feedForwardOutputNorm, compute)
    return (compute.sum(y, output, times: residualMultiplier), attended)
  }

  private func normed(_ x: Matrix, _ norm: Norm?, _ compute: ComputeContext) -> Matrix {
    norm?.forward(x, compute) ?? x
  }
}
