public import ByteIO
import LeanKModel

/// Reads a model's weights and lends them layer by layer: what has room stays in memory, the rest is
/// read again when it is asked for. Sessions that share a store share each reading.
public final class WeightStore {
  public let model: DecoderModel
  private let reader: WeightReader
  private let budget: WeightBudget
  private var resident: [Int: LayerWeights] = [:]
  private var residentHead: OutputHead?
  private var finalNorm: Norm?
  /// The layer that was lent last.
  private var current: (index: Int, weights: LayerWeights)?

  /// Bytes of the output projection that are read at a time.
  private static let headBlock = 64 << 20

  /// `residentLimit`: bytes of weights that may stay in memory.
  public init(_ model: DecoderModel, residentLimit: Int = 0) {
    self.model = model
    reader = WeightReader(source: model.weights)
    budget = WeightBudget(residentLimit)
  }

  /// The weights of layer `index`. Announces those of layer `next`, by default the one above.
  func layer(_ index: Int, before next: Int? = nil) throws(DecoderError) -> LayerWeights {
    if let found = resident[index] { return found }
    if let current, current.index == index { return current.weights }
    // Gives the memory of the layer before back first.
    current = nil
    let layers = model.description.layers
    let next = next ?? index + 1
    if layers.indices.contains(next), resident[next] == nil {
      model.weights.willRead(layers[next].weightNames.sorted())
    }
    var loader = LayerLoader(reader, budget: budget)
    let weights = try loader.load(layers[index], hiddenSize: model.description.hiddenSize)
    if budget.take(weights.byteCount) {
      resident[index] = weights
    } else {
      current = (index, weights)
    }
    return weights
  }

  /// Reads what may stay in memory ahead of its first use, layer by layer and then the output
  /// projection, as far as there is room.
  public func readAhead() throws(DecoderError) {
    for index in model.description.layers.indices {
      _ = try layer(index)
      guard resident[index] != nil else { break }
    }
    endPass()
    if resident.count == model.description.layers.count {
      _ = try head(0..<min(1, model.description.vocabularySize))
    }
  }

  /// Gives back what has no room to stay.
  func endPass() { current = nil }

  /// Embedded tokens, [tokens, hidden]; each reads its own row.
  func embed(_ tokens: [Int32]) throws(DecoderError) -> Matrix {
    let description = model.description
    var values: [Float] = []
    values.reserveCapacity(tokens.count * description.hiddenSize)
    for token in tokens {
      guard token >= 0, Int(token) < description.vocabularySize else {
        throw DecoderError(
          .token, "token \(token) is outside the vocabulary of \(description.vocabularySize)")
      }
      let row = try reader.matrix(description.embedding, rows: Int(token)..<Int(token) + 1)
      guard row.columns == description.hiddenSize else {
        throw DecoderError(
          .tensorShape,
          "tensor \(quoted(description.embedding)) has \(row.columns) columns, hidden size is \(description.hiddenSize)"
        )
      }
      values += row.widened(0..<row.columns)
    }
    var x = Matrix(rows: tokens.count, columns: description.hiddenSize, values: values)
    x.multiply(by: description.embeddingScale)
    return x
  }

  /// The final norm of `x`, [tokens, hidden].
  func finish(_ x: Matrix, _ compute: ComputeContext) throws(DecoderError) -> Matrix {
    try lastNorm().forward(x, compute)
  }

  /// Derivative by the residual stream that leaves the last layer, from that by its final norm; rows
  /// as `Norm.backward` has them.
  func finishBackward(
    _ gradient: Matrix, input: Matrix, _ compute: ComputeContext
  ) throws(DecoderError) -> Matrix {
    try lastNorm().backward(gradient, input: input, compute)
  }

  private func lastNorm() throws(DecoderError) -> Norm {
    if let finalNorm { return finalNorm }
    let norm = try Norm(model.description.finalNorm, count: model.description.hiddenSize, reader)
    finalNorm = norm
    return norm
  }

  /// The output projection for `vocabulary`: part of the whole where that may stay in memory, else read
  /// for this one use.
  func head(_ vocabulary: Range<Int>) throws(DecoderError) -> OutputHead {
    if let residentHead { return residentHead.part(vocabulary) }
    let plan = try OutputHead.Plan(model.description, reader)
    if budget.take(try plan.byteCount(reader)) {
      let head = try plan.block(0..<plan.rows.count, reader)
      residentHead = head
      return head.part(vocabulary)
    }
    return try plan.block(vocabulary, reader)
  }

  /// Tokens of the vocabulary whose projection is read at a time.
  var headStep: Int { max(1, Self.headBlock / max(1, model.description.hiddenSize * 4)) }

  /// Logits that are in memory at a time.
  private static let logitBlock = 8 << 20

  /// Tokens of the vocabulary whose logits for `rows` positions are made at a time.
  func headStep(rows: Int) -> Int { min(headStep, max(64, Self.logitBlock / max(1, rows))) }
}
