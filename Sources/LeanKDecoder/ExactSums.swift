import LeanKModel
import RealModule

/// `out[first + r] = x . w[r]` with the products of each row added one after another, in ascending
/// order of its channels.
///
/// A channel that is 0 on one side adds nothing, so a whole key with zeros gives the same bits as a
/// narrow key without them: that is what makes the two sides of an exact run comparable.
func orderedDots(
  into out: inout [Float], at first: Int, _ x: Span<Float>, _ w: Span<Float>, _ rows: Kernels.Rows
) {
  precondition(x.count == rows.width && rows.extent <= w.count)
  precondition(first >= 0 && first + rows.count <= out.count)
  let stride = rows.stride
  unsafe w.withUnsafeBufferPointer { w in
    var row = 0
    // Lanes are keys: each keeps its own order of sums.
    while row + 8 <= rows.count {
      var total = SIMD8<Float>()
      for channel in x.indices {
        let at = row * stride + channel
        let key = unsafe SIMD8(
          w[at], w[at + stride], w[at + 2 * stride], w[at + 3 * stride], w[at + 4 * stride],
          w[at + 5 * stride], w[at + 6 * stride], w[at + 7 * stride])
        total += x[channel] * key
      }
      for lane in 0..<8 { out[first + row + lane] = total[lane] }
      row += 8
    }
    while row < rows.count {
      var total: Float = 0
      for channel in x.indices { total += unsafe x[channel] * w[row * stride + channel] }
      out[first + row] = total
      row += 1
    }
  }
}

extension AttentionDescription {
  /// Scales and caps one query's raw scores and replaces them by exponentials; returns the
  /// reciprocal of their sum.
  func exponentiate(_ scores: inout [Float], _ range: Range<Int>, sink: Float?) -> Float {
    var largest = sink ?? -.infinity
    for index in range {
      scores[index] *= scale
      if let cap = scoreSoftcap { scores[index] = Float.tanh(scores[index] / cap) * cap }
      largest = max(largest, scores[index])
    }
    let sum = Kernels.best.exponentials(&scores, range, shift: largest)
    return 1 / (sum + (sink.map { Float.exp($0 - largest) } ?? 0))
  }
}
