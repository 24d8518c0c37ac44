import LeanKModel

extension Norm {
  /// Rows that one thread takes at a time.
  private static let backwardBlock = 64

  /// Derivative by the input, from that by the output; `input` is what `forward` was given.
  ///
  /// Several derivatives may be asked for at once, one below the other: row r of `gradient` belongs to
  /// row `r mod input.rows` of the input.
  func backward(_ gradient: Matrix, input: Matrix, _ compute: ComputeContext) -> Matrix {
    precondition(gradient.columns == input.columns)
    var result = gradient
    let columns = input.columns
    let blocks = (0..<gradient.rows).blocks(of: Self.backwardBlock)
    result.values.withDisjointElements { elements in
      compute.concurrently(blocks.count) { index in
        for row in blocks[index] {
          let first = row % input.rows * columns
          elements.withElements(row * columns..<(row + 1) * columns) {
            backward(&$0, input: input.values.span.extracting(first..<first + columns))
          }
        }
      }
    }
    return result
  }

  /// Takes `gradient` from the derivative by the output to that by the input, in place, with this weight
  /// from element `first` on.
  func backward(
    _ gradient: inout MutableSpan<Float>, input: Span<Float>, weightFrom first: Int = 0
  ) {
    precondition(gradient.count == input.count)
    let count = Double(input.count)
    guard count > 0 else { return }
    var mean = 0.0
    if kind == .layer {
      for index in input.indices { mean += Double(input[index]) }
      mean /= count
    }
    var squares = 0.0
    for index in input.indices {
      let centred = Double(input[index]) - mean
      squares += centred * centred
    }
    let factor = 1 / (squares / count + Double(epsilon)).squareRoot()
    // What reaches all elements through the statistics: the mean's part and the variance's.
    var sum = 0.0
    var alongInput = 0.0
    for index in input.indices {
      let weighted = gradient[index] * weight[first + index]
      gradient[index] = weighted
      sum += Double(weighted)
      alongInput += Double(weighted) * (Double(input[index]) - mean)
    }
    let shift = kind == .layer ? sum / count : 0
    let slope = alongInput * factor * factor / count
    for index in input.indices {
      let centred = Double(input[index]) - mean
      gradient[index] = Float((Double(gradient[index]) - shift - centred * slope) * factor)
    }
  }
}
