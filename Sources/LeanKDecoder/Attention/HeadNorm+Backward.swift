extension HeadNorm {
  /// Takes `gradient`, [rows, heads side by side], from the derivative by the normed queries or keys to
  /// that by those before, `input`. Row r of `gradient` belongs to row `r mod input.rows` of the input.
  func backward(_ gradient: inout Matrix, input: Matrix, _ compute: ComputeContext) {
    precondition(gradient.columns == input.columns)
    let width = input.columns
    gradient.values.withDisjointElements { [rows = gradient.rows] elements in
      compute.concurrently(rows) { row in
        let first = row % input.rows * width
        backward(elements, row * width, input.values.span.extracting(first..<first + width))
      }
    }
  }

  /// One row, which begins at `first` among the elements.
  private func backward(
    _ elements: DisjointElements<Float>, _ first: Int, _ input: Span<Float>
  ) {
    if case .acrossHeads(let norm) = form {
      elements.withElements(first..<first + input.count) { norm.backward(&$0, input: input) }
      return
    }
    for (head, range) in columns.heads.enumerated() where !range.isEmpty {
      let input = input.extracting(range)
      elements.withElements(first + range.lowerBound..<first + range.upperBound) { values in
        switch form {
        case .perHead(let norm, let isShared):
          norm.backward(
            &values, input: input, weightFrom: isShared ? 0 : head * columns.headDim)
        case .listPerHead(let norms): norms[head].backward(&values, input: input)
        case .acrossHeads: break
        }
      }
    }
  }
}
