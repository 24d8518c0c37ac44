import ByteIO
import LeanKMask
import LeanKModel
import RealModule

/// One side of a run: its caches, and how a layer of it is computed.
final class SideRun {
  let side: DecoderSide
  private let weights: WeightStore
  private let multiply: MatrixMultiply
  private let layers: [any LayerAttention]

  var model: ModelDescription { side.model.description }

  init(
    _ side: DecoderSide, weights: WeightStore, options: DecodeOptions, promptLength: Int,
    length: Int
  ) throws(DecoderError) {
    self.side = side
    self.weights = weights
    multiply = MatrixMultiply(threads: options.threads)
    let model = side.model.description
    var tables: [RotaryFrequencies: RotaryTable] = [:]
    var layers: [any LayerAttention] = []
    for (index, layer) in model.layers.enumerated() {
      var table: RotaryTable?
      if let rotary = layer.attention.rotary, rotary.geometry.width > 0 {
        let frequencies = RotaryFrequencies(rotary, length: length)
        table = tables[frequencies] ?? RotaryTable(frequencies)
        tables[frequencies] = table
      }
      let context = AttentionContext(
        attention: layer.attention, options: options, promptLength: promptLength, rotary: table,
        multiply: multiply)
      do throws(DecoderError) {
        layers.append(try Self.attention(side, index, context))
      } catch {
        throw DecoderError(error.code, "layer \(index): \(error.detail)")
      }
    }
    self.layers = layers
  }

  private static func attention(
    _ side: DecoderSide, _ layer: Int, _ context: AttentionContext
  ) throws(DecoderError) -> any LayerAttention {
    switch side.attention {
    case .dense(let mask):
      guard let mask else { return MaskedAttention(context, kept: nil) }
      return MaskedAttention(context, kept: try heads(mask, layer, context, side))
    case .pruned(let mask, let rows):
      let kept = try heads(mask, layer, context, side)
      let whole = kept.map { ChannelSet.full(width: $0.width) }
      return try RaggedAttention(
        context, kept: kept,
        rows: rows == nil ? whole : try heads(rows ?? mask, layer, context, side))
    }
  }

  private static func heads(
    _ mask: ChannelMask, _ layer: Int, _ context: AttentionContext, _ side: DecoderSide
  ) throws(DecoderError) -> [ChannelSet] {
    let layers = side.model.description.layers.count
    guard mask.layers.count == layers else {
      throw DecoderError(
        .geometry, "the mask has \(mask.layers.count) layers, the model \(layers)")
    }
    let heads = mask.layers[layer].heads
    let attention = context.attention
    guard heads.count == attention.kvHeads,
      heads.allSatisfy({ $0.width == attention.headDim })
    else {
      throw DecoderError(
        .geometry,
        "the mask has \(heads.count) KV heads of \(heads.first?.width ?? 0) channels, the model "
          + "\(attention.kvHeads) of \(attention.headDim)")
    }
    return heads
  }

  /// Elements of keys and values held over all layers.
  var cached: CacheSize { layers.reduce(CacheSize()) { $0 + $1.cached } }

  /// Embedded tokens, [tokens, hidden]; each reads its own row.
  func embed(_ tokens: [Int32]) throws(DecoderError) -> Matrix {
    var values: [Float] = []
    values.reserveCapacity(tokens.count * model.hiddenSize)
    for token in tokens {
      guard token >= 0, Int(token) < model.vocabularySize else {
        throw DecoderError(
          .token, "token \(token) is outside the vocabulary of \(model.vocabularySize)")
      }
      let row = try weights.load(model.embedding, rows: Int(token)..<Int(token) + 1)
      guard row.columns == model.hiddenSize else {
        throw DecoderError(
          .tensorShape,
          "tensor \(quoted(model.embedding)) has \(row.columns) columns, hidden size is \(model.hiddenSize)"
        )
      }
      values += row.widened(0..<row.columns)
    }
    var x = Matrix(rows: tokens.count, columns: model.hiddenSize, values: values)
    x.multiply(by: model.embeddingScale)
    return x
  }

  /// Takes `x`, whose first token is at `position`, through layer `index`; returns the attention's
  /// own output before it joins the residual stream.
  func apply(
    layer index: Int, to x: inout Matrix, from position: Int
  ) throws(DecoderError) -> Matrix {
    let layer = model.layers[index]
    let block = layer.block
    let feedForward = FeedForward(weights: weights, multiply: multiply)
    var attended = try layers[index].attend(
      try normed(x, block.attentionNorm), from: position, weights: weights)
    attended = try weights.apply(
      layer.attention.output, to: attended, outputs: x.columns, multiply: multiply)
    attended = try normed(attended, block.attentionOutputNorm)
    if block.isParallel {
      var other = try feedForward.apply(
        layer.feedForward, to: try normed(x, block.feedForwardNorm))
      other = try normed(other, block.feedForwardOutputNorm)
      x.add(attended, times: block.residualMultiplier)
      x.add(other, times: block.residualMultiplier)
    } else {
      x.add(attended, times: block.residualMultiplier)
      var other = try feedForward.apply(
        layer.feedForward, to: try normed(x, block.feedForwardNorm))
      other = try normed(other, block.feedForwardOutputNorm)
      x.add(other, times: block.residualMultiplier)
    }
    return attended
  }

  /// The final norm.
  func finish(_ x: Matrix) throws(DecoderError) -> Matrix { try normed(x, model.finalNorm) }

  /// Scale and soft cap of the logits.
  func shape(logits: inout Matrix) {
    logits.multiply(by: model.logitScale)
    if let cap = model.logitSoftcap {
      for index in logits.values.indices {
        logits.values[index] = Float.tanh(logits.values[index] / cap) * cap
      }
    }
  }

  private func normed(_ x: Matrix, _ norm: NormDescription?) throws(DecoderError) -> Matrix {
    guard let norm else { return x }
    var y = x
    try Normalization(norm, count: x.columns, weights: weights).apply(&y)
    return y
  }
}
