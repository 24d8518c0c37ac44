import ByteIO
import LeanKModel

/// One layer's weights, ready to compute with.
struct LayerWeights: Sendable {
  let attention: AttentionWeights
  let feedForward: FeedForward
  let block: Block
  /// Bytes of what was read.
  let byteCount: Int
}

/// What attention of one layer computes with.
struct AttentionWeights: Sendable {
  let projection: QKVProjection
  let output: Linear
  /// [query heads]; nil where the softmax has no further logit.
  let sinkLogits: [Float]?
}

/// Makes a layer's values of its tensors, each of which is read once.
struct LayerLoader {
  private let reader: WeightReader
  private let budget: WeightBudget
  private var matrices: [String: WeightMatrix] = [:]

  init(_ reader: WeightReader, budget: WeightBudget) {
    self.reader = reader
    self.budget = budget
  }

  mutating func load(
    _ layer: LayerDescription, hiddenSize: Int
  ) throws(DecoderError) -> LayerWeights {
    let attention = layer.attention
    let norms = layer.block
    let sinkLogits =
      if let name = attention.sinkLogits {
        try reader.vector(name, count: attention.queryHeads)
      } else {
        nil as [Float]?
      }
    let projection = try projection(attention, inputs: hiddenSize)
    let output = try linear(
      attention.output, inputs: attention.queryHeads * attention.headDim, outputs: hiddenSize)
    let feedForward = try feedForward(layer.feedForward, hiddenSize)
    let block = Block(
      isParallel: norms.isParallel, residualMultiplier: norms.residualMultiplier,
      attentionNorm: try norm(norms.attentionNorm, hiddenSize),
      attentionOutputNorm: try norm(norms.attentionOutputNorm, hiddenSize),
      feedForwardNorm: try norm(norms.feedForwardNorm, hiddenSize),
      feedForwardOutputNorm: try norm(norms.feedForwardOutputNorm, hiddenSize))
    return LayerWeights(
      attention: AttentionWeights(
        projection: projection, output: output, sinkLogits: sinkLogits),
      feedForward: feedForward, block: block,
      byteCount: matrices.values.reduce(0) { $0 + $1.bytes.count })
  }

  // MARK: - Parts

  private mutating func matrix(_ name: String) throws(DecoderError) -> WeightMatrix {
    if let found = matrices[name] { return found }
    let matrix = try reader.matrix(name)
    matrices[name] = matrix
    return matrix
  }

  /// Fails unless the weight takes `inputs` and, where that is given, makes `outputs`.
  private mutating func linear(
    _ description: LinearDescription, inputs: Int, outputs: Int? = nil
  ) throws(DecoderError) -> Linear {
    let weight = try matrix(description.weight)
    let rows = description.rows ?? 0..<weight.rows
    try check(weight, columns: inputs, rows: rows.upperBound)
    if let outputs, outputs != rows.count {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(description.weight)) gives \(rows.count) outputs where \(outputs) are needed"
      )
    }
    var bias: [Float]?
    if let name = description.bias {
      bias =
        if let range = description.rows {
          try reader.elements(name, range)
        } else {
          try reader.vector(name, count: rows.count)
        }
    }
    return Linear(weight: weight, rows: [rows], bias: bias)
  }

  /// The projection of all heads side by side, each as wide as it has rows.
  private mutating func linear(
    _ heads: HeadRows, inputs: Int
  ) throws(DecoderError) -> Linear {
    let weight = try matrix(heads.weight)
    let runs = heads.consecutiveRuns
    try check(weight, columns: inputs, rows: runs.map(\.upperBound).max() ?? 0)
    var bias: [Float]?
    if let name = heads.bias {
      var all: [Float] = []
      for run in runs { all += try reader.elements(name, run) }
      bias = all
    }
    return Linear(weight: weight, rows: runs, bias: bias)
  }

  private func check(_ weight: WeightMatrix, columns: Int, rows: Int) throws(DecoderError) {
    guard weight.columns == columns, weight.rows >= rows else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(weight.name)) is [\(weight.rows), \(weight.columns)] where [\(rows), \(columns)] is needed"
      )
    }
  }

  private mutating func projection(
    _ attention: AttentionDescription, inputs: Int
  ) throws(DecoderError) -> QKVProjection {
    let queryColumns = HeadColumns(attention.query, headDim: attention.headDim)
    let keyColumns = HeadColumns(attention.key, headDim: attention.headDim)
    return QKVProjection(
      query: try linear(attention.query, inputs: inputs),
      key: try linear(attention.key, inputs: inputs),
      value: try linear(attention.value, inputs: inputs), queryColumns: queryColumns,
      keyColumns: keyColumns,
      queryNorm: try HeadNorm(attention.queryKeyNorm, .query, queryColumns, reader),
      keyNorm: try HeadNorm(attention.queryKeyNorm, .key, keyColumns, reader))
  }

  private func norm(
    _ description: NormDescription?, _ count: Int
  ) throws(DecoderError) -> Norm? {
    guard let description else { return nil }
    return try Norm(description, count: count, reader)
  }

  // MARK: - Feed-forward

  private mutating func feedForward(
    _ description: FeedForwardDescription, _ hidden: Int
  ) throws(DecoderError) -> FeedForward {
    switch description {
    case .gated(let gate, let up, let down, let activation):
      return .gated(try gated(gate, up, down, activation, hidden))
    case .plain(let up, let down, let activation):
      let first = try linear(up, inputs: hidden)
      return .plain(
        PlainFeedForward(
          up: first, down: try linear(down, inputs: first.outputs, outputs: hidden),
          activation: activation))
    case .mixture(let mixture):
      let router = try linear(mixture.router, inputs: hidden)
      guard mixture.expertsPerToken >= 1, mixture.expertsPerToken <= router.outputs else {
        throw DecoderError(
          .geometry, "\(mixture.expertsPerToken) experts a token of \(router.outputs) experts")
      }
      return .mixture(
        MixtureOfExperts(
          router: router, expertsPerToken: mixture.expertsPerToken, weighting: mixture.weighting,
          experts: ExpertStore(
            mixture.experts, count: router.outputs, hiddenSize: hidden, reader, budget: budget)))
    }
  }

  /// `down(activation(gate x) * up x)`
  mutating func gated(
    _ gate: LinearDescription, _ up: LinearDescription, _ down: LinearDescription,
    _ activation: Activation, _ hidden: Int
  ) throws(DecoderError) -> GatedFeedForward {
    let first = try linear(gate, inputs: hidden)
    return GatedFeedForward(
      gate: first, up: try linear(up, inputs: hidden, outputs: first.outputs),
      down: try linear(down, inputs: first.outputs, outputs: hidden), activation: activation)
  }

  /// Bytes of what was read so far.
  var byteCount: Int { matrices.values.reduce(0) { $0 + $1.bytes.count } }
}

extension HeadRows {
  /// The heads' rows with neighbouring ranges joined: one product for each.
  var consecutiveRuns: [Range<Int>] {
    var runs: [Range<Int>] = []
    for head in heads where !head.isEmpty {
      if let last = runs.last, last.upperBound == head.lowerBound {
        runs[runs.count - 1] = last.lowerBound..<head.upperBound
      } else {
        runs.append(head)
      }
    }
    return runs
  }
}
