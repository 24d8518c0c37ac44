import ByteIO

extension Block {
  /// Derivative by the residual stream that enters the layer, from that by the stream that leaves it;
  /// `record` is what `forward` left. `attend` takes the derivative by attention after its output
  /// projection to that by the normed stream that attention reads.
  ///
  /// Several derivatives may be asked for at once, one below the other: row r of `gradient` belongs to
  /// token `r mod tokens`.
  func backward(
    _ gradient: Matrix, _ feedForward: FeedForward, _ record: LayerRecord,
    _ compute: ComputeContext, attend: (Matrix) throws(DecoderError) -> Matrix
  ) throws(DecoderError) -> Matrix {
    var branch = gradient
    branch.multiply(by: residualMultiplier)
    var result = gradient
    var other = branch
    if let norm = feedForwardOutputNorm {
      other = norm.backward(other, input: record.kept(\.feedForwardOutput), compute)
    }
    other = try feedForward.backward(other, record, compute)
    if let norm = feedForwardNorm {
      other = norm.backward(other, input: record.kept(\.middle), compute)
    }
    result.add(other)
    // In sequence, what the feed-forward part reads has attention in it.
    if !isParallel {
      branch = result
      branch.multiply(by: residualMultiplier)
    }
    if let norm = attentionOutputNorm {
      branch = norm.backward(branch, input: record.kept(\.attentionOutput), compute)
    }
    branch = try attend(branch)
    if let norm = attentionNorm {
      branch = norm.backward(branch, input: record.kept(\.input), compute)
    }
    result.add(branch)
    return result
  }
}
