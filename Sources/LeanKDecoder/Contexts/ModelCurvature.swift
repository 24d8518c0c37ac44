import ByteIO
import LeanKModel

/// What a change of a channel of middle keys, in any layer, would do to the model's last hidden states:
/// random directions of them, carried back through all layers at the queries.
struct ModelCurvature {
  private let description: ModelDescription
  private let request: CurvaturePass.Request
  /// Hidden states of the queries after the final norm, by sequence.
  private let hidden: [Matrix]

  init(
    _ description: ModelDescription, _ request: CurvaturePass.Request, hidden: [Matrix]
  ) {
    self.description = description
    self.request = request
    self.hidden = hidden
  }

  /// Scores of each sequence, by layer, KV head and channel; `record` is the pass that made the hidden
  /// states.
  func scores(
    _ record: ContextRecord,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void
  ) throws(DecoderError) -> [Curvature.Scores] {
    let draws = request.draws
    let directions = zip(request.contexts, hidden).map { context, hidden in
      // Beyond the last layer, whose directions are another's.
      var signs = SignGenerator(
        seed: request.seed, sequence: context.number, layer: description.layers.count)
      return Matrix(
        rows: draws * hidden.rows, columns: hidden.columns,
        values: signs.next(count: draws * hidden.values.count))
    }
    let found = try record.backward(directions, copies: draws, progress: progress).factors
    return hidden.indices.map { sequence in
      let values = hidden[sequence].values
      let squares = values.reduce(0.0) { $0 + Double($1) * Double($1) }
      // As many elements as the mean square is over, which cancel.
      let scale = 1 / (Double(draws) * max(squares, 1e-30))
      return description.layers.enumerated().map { index, layer in
        let attention = layer.attention
        return (0..<attention.kvHeads).map { head in
          (head * attention.headDim..<(head + 1) * attention.headDim).map { place in
            (0..<draws).reduce(0.0) { sum, draw in
              let slope = Double(found[index][draw][sequence][place])
              return sum + slope * slope
            } * scale
          }
        }
      }
    }
  }
}
