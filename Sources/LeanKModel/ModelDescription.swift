public import LeanKMask

/// What a checkpoint computes and where its weights lie: everything `convert` and the decoder need
/// to know about an architecture, as data. A family's file makes one from `config.json`.
///
/// Tensor names are those on disk; `rows` of a weight are its output channels ([out, in] storage).
public struct ModelDescription: Sendable, Hashable {
  public var modelType: String
  public var hiddenSize: Int
  public var vocabularySize: Int
  /// Token embedding, [vocabulary, hidden].
  public var embedding: String
  /// Factor on the embedded tokens (Gemma: sqrt(hidden); Granite: `embedding_multiplier`).
  public var embeddingScale: Float
  public var layers: [LayerDescription]
  public var finalNorm: NormDescription
  /// Output projection, [vocabulary, hidden]; the embedding's own weight where they are tied.
  public var outputHead: LinearDescription
  /// Factor on the logits, before the soft cap.
  public var logitScale: Float
  /// `cap * tanh(logit / cap)` on the final logits.
  public var logitSoftcap: Float?

  public init(
    modelType: String, hiddenSize: Int, vocabularySize: Int, embedding: String,
    embeddingScale: Float = 1, layers: [LayerDescription], finalNorm: NormDescription,
    outputHead: LinearDescription, logitScale: Float = 1, logitSoftcap: Float? = nil
  ) {
    self.modelType = modelType
    self.hiddenSize = hiddenSize
    self.vocabularySize = vocabularySize
    self.embedding = embedding
    self.embeddingScale = embeddingScale
    self.layers = layers
    self.finalNorm = finalNorm
    self.outputHead = outputHead
    self.logitScale = logitScale
    self.logitSoftcap = logitSoftcap
  }
}

/// One decoder layer.
public struct LayerDescription: Sendable, Hashable {
  public var attention: AttentionDescription
  public var feedForward: FeedForwardDescription
  public var block: BlockDescription

  public init(
    attention: AttentionDescription, feedForward: FeedForwardDescription, block: BlockDescription
  ) {
    self.attention = attention
    self.feedForward = feedForward
    self.block = block
  }
}

/// How attention and feed-forward are joined to the residual stream x.
///
/// Sequential: `x += r * outNormA(A(normA(x)))`, then `x += r * outNormF(F(normF(x)))`.
/// Parallel: `x += r * (A(normA(x)) + F(normF(x)))`, both from the same x. A missing norm is the
/// identity.
public struct BlockDescription: Sendable, Hashable {
  public var isParallel: Bool
  public var attentionNorm: NormDescription?
  public var attentionOutputNorm: NormDescription?
  public var feedForwardNorm: NormDescription?
  public var feedForwardOutputNorm: NormDescription?
  /// r above (Granite: `residual_multiplier`).
  public var residualMultiplier: Float

  public init(
    isParallel: Bool = false, attentionNorm: NormDescription? = nil,
    attentionOutputNorm: NormDescription? = nil, feedForwardNorm: NormDescription? = nil,
    feedForwardOutputNorm: NormDescription? = nil, residualMultiplier: Float = 1
  ) {
    self.isParallel = isParallel
    self.attentionNorm = attentionNorm
    self.attentionOutputNorm = attentionOutputNorm
    self.feedForwardNorm = feedForwardNorm
    self.feedForwardOutputNorm = feedForwardOutputNorm
    self.residualMultiplier = residualMultiplier
  }
}

/// RMS or layer normalisation over the last dimension.
public struct NormDescription: Sendable, Hashable {
  public enum Kind: Sendable, Hashable {
    /// `x / sqrt(mean(x^2) + epsilon)`
    case rootMeanSquare
    /// `(x - mean(x)) / sqrt(var(x) + epsilon)`
    case layer
  }

  public var kind: Kind
  public var weight: String
  public var bias: String?
  public var epsilon: Float
  /// Added to the stored weight (Gemma stores weight - 1).
  public var weightOffset: Float

  public init(
    _ kind: Kind, weight: String, bias: String? = nil, epsilon: Float, weightOffset: Float = 0
  ) {
    self.kind = kind
    self.weight = weight
    self.bias = bias
    self.epsilon = epsilon
    self.weightOffset = weightOffset
  }
}

/// `y = W x + b`, where W is a whole weight or a range of its rows.
public struct LinearDescription: Sendable, Hashable {
  public var weight: String
  public var bias: String?
  /// Rows of `weight` (and elements of `bias`) that belong to this projection; nil = all of them.
  public var rows: Range<Int>?

  public init(weight: String, bias: String? = nil, rows: Range<Int>? = nil) {
    self.weight = weight
    self.bias = bias
    self.rows = rows
  }
}

/// Where the rows of each head of a projection lie. Separate and fused layouts differ only here.
public struct HeadRows: Sendable, Hashable {
  public var weight: String
  public var bias: String?
  /// Rows of each head in `weight`, by head. In a dense checkpoint each has head_dim rows, row c
  /// giving channel c; in a pruned one those of the kept channels, ascending.
  public var heads: [Range<Int>]

  public init(weight: String, bias: String? = nil, heads: [Range<Int>]) {
    self.weight = weight
    self.bias = bias
    self.heads = heads
  }

  /// Rows lying head after head from `first` on: the layout of a separate projection.
  public static func consecutive(
    weight: String, bias: String? = nil, heads: Int, headDim: Int, from first: Int = 0
  ) -> HeadRows {
    HeadRows(
      weight: weight, bias: bias,
      heads: (0..<heads).map { first + $0 * headDim..<first + ($0 + 1) * headDim })
  }
}

/// One layer's attention.
public struct AttentionDescription: Sendable, Hashable {
  public var queryHeads: Int
  public var kvHeads: Int
  public var headDim: Int
  public var query: HeadRows
  public var key: HeadRows
  public var value: HeadRows
  public var output: LinearDescription
  /// Factor on q.k; the dense model's, whatever is pruned.
  public var scale: Float
  /// `cap * tanh(score / cap)` on the scaled scores.
  public var scoreSoftcap: Float?
  /// Keys visible to a query, itself included; nil = all before it.
  public var slidingWindow: Int?
  /// nil = a layer without RoPE.
  public var rotary: RotaryDescription?
  public var queryKeyNorm: QueryKeyNorm?
  /// [query heads]: one more logit in each softmax that takes weight but has no value.
  public var sinkLogits: String?

  public init(
    queryHeads: Int, kvHeads: Int, headDim: Int, query: HeadRows, key: HeadRows, value: HeadRows,
    output: LinearDescription, scale: Float, scoreSoftcap: Float? = nil, slidingWindow: Int? = nil,
    rotary: RotaryDescription?, queryKeyNorm: QueryKeyNorm? = nil, sinkLogits: String? = nil
  ) {
    self.queryHeads = queryHeads
    self.kvHeads = kvHeads
    self.headDim = headDim
    self.query = query
    self.key = key
    self.value = value
    self.output = output
    self.scale = scale
    self.scoreSoftcap = scoreSoftcap
    self.slidingWindow = slidingWindow
    self.rotary = rotary
    self.queryKeyNorm = queryKeyNorm
    self.sinkLogits = sinkLogits
  }

  /// Query heads that share one KV head.
  public var group: Int { queryHeads / kvHeads }
}

/// Normalisation of queries and keys between projection and rotation. Its statistics run over all
/// channels, so no row of a normed head can be dropped.
public enum QueryKeyNorm: Sendable, Hashable {
  /// Each head by itself, one weight [head_dim] for all heads (Qwen3, Gemma3, EXAONE 4).
  case sharedPerHead(query: NormDescription, key: NormDescription)
  /// Each head by itself, a weight row for each: [heads, head_dim] (Cohere).
  case ownPerHead(query: NormDescription, key: NormDescription)
  /// Each head by itself, a tensor for each (StableLM).
  case listPerHead(query: [NormDescription], key: [NormDescription])
  /// All heads of the layer together, weight [heads * head_dim] (OLMo 2).
  case acrossHeads(query: NormDescription, key: NormDescription)

  /// Whether a head's statistics are its own, so that a head without kept channels needs no rows.
  public var isPerHead: Bool {
    switch self {
    case .sharedPerHead, .ownPerHead, .listPerHead: true
    case .acrossHeads: false
    }
  }
}

/// Rotation of one layer: which channels, and the frequencies.
public struct RotaryDescription: Sendable, Hashable {
  public var geometry: RotaryGeometry
  public var theta: Double
  public var scaling: RotaryScaling

  public init(geometry: RotaryGeometry, theta: Double, scaling: RotaryScaling) {
    self.geometry = geometry
    self.theta = theta
    self.scaling = scaling
  }
}

/// The ways in which checkpoints stretch RoPE to longer contexts, named as transformers names them.
public enum RotaryScaling: Sendable, Hashable {
  case `default`
  case linear(factor: Double)
  /// NTK: the base grows with sequences longer than `originalPositions`.
  case dynamic(factor: Double, originalPositions: Int)
  case llama3(
    factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalPositions: Int)
  case yarn(
    factor: Double, originalPositions: Int, betaFast: Double, betaSlow: Double, truncate: Bool,
    attentionFactor: Double)
  /// Per-pair divisors, one list up to `originalPositions` tokens and one beyond.
  case longrope(
    shortFactor: [Double], longFactor: [Double], originalPositions: Int, attentionFactor: Double)
}

public enum Activation: Sendable, Hashable {
  case silu
  case gelu
  /// The approximation by tanh, under whatever name.
  case geluTanh
  case relu
  /// One that the decoder does not compute, as config.json names it.
  case other(String)
}

/// One layer's feed-forward part.
public enum FeedForwardDescription: Sendable, Hashable {
  /// `down(activation(gate x) * up x)`
  case gated(
    gate: LinearDescription, up: LinearDescription, down: LinearDescription, activation: Activation)
  /// `down(activation(up x))`
  case plain(up: LinearDescription, down: LinearDescription, activation: Activation)
  case mixture(MixtureDescription)
}

/// A mixture of experts.
public struct MixtureDescription: Sendable, Hashable {
  /// How router logits become the weights of the chosen experts.
  public enum Weighting: Sendable, Hashable {
    /// Softmax over all experts, then the top ones, rescaled to sum 1 if `renormalise`.
    case softmaxThenTop(renormalise: Bool)
    /// The top logits, then softmax over those.
    case topThenSoftmax
  }

  public enum Experts: Sendable, Hashable {
    /// A gated feed-forward each.
    case separate([SeparateExpert], activation: Activation)
    /// GPT-OSS: `gateUp` [experts, hidden, 2 * intermediate] with gate and up in even and odd
    /// columns, `down` [experts, intermediate, hidden], neither transposed. Computes
    /// `down((up + 1) * gate * sigmoid(alpha * gate))`, gate capped at `limit`, up at +-`limit`.
    case interleaved(
      gateUp: String, gateUpBias: String, down: String, downBias: String, alpha: Float,
      limit: Float)
  }

  public var router: LinearDescription
  public var expertsPerToken: Int
  public var weighting: Weighting
  public var experts: Experts

  public init(
    router: LinearDescription, expertsPerToken: Int, weighting: Weighting, experts: Experts
  ) {
    self.router = router
    self.expertsPerToken = expertsPerToken
    self.weighting = weighting
    self.experts = experts
  }
}

public struct SeparateExpert: Sendable, Hashable {
  public var gate: LinearDescription
  public var up: LinearDescription
  public var down: LinearDescription

  public init(gate: LinearDescription, up: LinearDescription, down: LinearDescription) {
    self.gate = gate
    self.up = up
    self.down = down
  }
}
