public import ByteIO
public import LeanKMask
import LeanKModel

/// The numeric half of `verify`: a dense model with a mask against the pruned model, on the same
/// tokens.
///
/// Three sides run in lockstep: dense, dense with the mask applied to whole keys, and pruned. The
/// last two have to agree; how far they lie from the first is information.
public struct Verification: Sendable {
  /// What PRUNED computes with.
  public enum Pruned: Sendable {
    /// The dense weights, caching |M| channels a head.
    case cache(DecoderModel)
    /// Projections that have the closure's rows only, caching |M| channels a head.
    case rows(DecoderModel)
    /// Weights that compute the mask by themselves in any runtime.
    case zeroed(DecoderModel)
  }

  /// Agreement of the two sides after one layer.
  public struct Layer: Sendable, Hashable {
    public let layer: Int
    /// Largest difference between the residual streams.
    public let maximumHidden: Float
    /// Largest difference between the outputs of attention.
    public let maximumAttention: Float
  }

  /// The sides' own continuations.
  public struct Greedy: Sendable, Hashable {
    public let dense: [Int32]
    public let masked: [Int32]
    public let pruned: [Int32]
  }

  public let tokens: [Int32]
  public let promptLength: Int
  /// (query, key) pairs in which windowed mode sees a middle key.
  public let middleKeys: Int
  /// Masked against pruned.
  public let comparison: LogitComparison
  /// Largest difference that passes; 0 in an exact run.
  public let tolerance: Double
  /// Whether both sides summed in one order, so that nothing but 0 passes.
  public let isExact: Bool
  public let layers: [Layer]
  /// First position whose logits differ, masked against pruned, by more than the tolerance; nil when
  /// there is none.
  public let firstDifference: Int?
  /// Largest magnitude among the dense model's logits, to which the default tolerance is scaled.
  public let largestLogit: Float
  /// Dense against masked.
  public let drift: LogitComparison
  /// Mean negative log likelihood of the given tokens, nil for a single one.
  public let lossDense: Double?
  public let lossMasked: Double?
  public let greedy: Greedy?
  public let denseCache: CacheSize
  public let prunedCache: CacheSize
  /// Logits of the sides, [tokens, vocabulary].
  public let dense: Matrix
  public let masked: Matrix
  public let pruned: Matrix

  /// Whether logits agree within the tolerance and the continuations token by token; in an exact run
  /// the states of every layer agree bit for bit besides.
  public var passed: Bool {
    Double(comparison.maximum) <= tolerance
      && (!isExact || layers.allSatisfy { $0.maximumHidden == 0 && $0.maximumAttention == 0 })
      && greedy.map { $0.masked == $0.pruned } ?? true
  }

  /// Runs the three sides over `tokens`, the first `promptLength` in one pass and the others one at
  /// a time, then lets each continue `greedyCount` tokens of its own.
  ///
  /// `tolerance` nil takes the default for the size of the logits; an exact run takes 0.
  /// `onProgress` hears of every pass through a layer; greedy tokens go through all of them again.
  public init(
    dense model: DecoderModel, pruned: Pruned, mask: ChannelMask, tokens: [Int32],
    promptLength: Int, greedyCount: Int, options: DecodeOptions, tolerance: Double?,
    onProgress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(DecoderError) {
    let prunedSide: DecoderSide
    switch pruned {
    case .cache(let model): prunedSide = .pruned(model, mask)
    case .rows(let model): prunedSide = .pruned(model, mask, rows: try Self.closure(of: mask))
    case .zeroed(let model): prunedSide = .dense(model)
    }
    let decoder = try Decoder(
      [.dense(model), .masked(model, mask), prunedSide], promptLength: promptLength,
      length: tokens.count, options: options)
    let total = model.description.layers.count * max(1, greedyCount)
    var done = 0
    func advance() {
      done += 1
      onProgress(done, total)
    }
    var layers: [Layer] = []
    let outputs = try decoder.decode(tokens) { state in
      layers.append(
        Layer(
          layer: state.layer,
          maximumHidden: state.hidden[1].largestDifference(from: state.hidden[2]),
          maximumAttention: state.attention[1].largestDifference(from: state.attention[2])))
      advance()
    }
    let continued =
      greedyCount > 0 ? try decoder.greedy(count: greedyCount) { _ in advance() } : nil
    self.tokens = tokens
    self.promptLength = promptLength
    self.layers = layers
    middleKeys = options.middlePairs(promptLength: promptLength, tokens: tokens.count)
    dense = outputs[0].logits
    masked = outputs[1].logits
    self.pruned = outputs[2].logits
    comparison = LogitComparison(reference: outputs[1].logits, other: outputs[2].logits)
    drift = LogitComparison(reference: outputs[0].logits, other: outputs[1].logits)
    lossDense = outputs[0].logits.nextTokenLoss(tokens)
    lossMasked = outputs[1].logits.nextTokenLoss(tokens)
    isExact = options.isExact
    largestLogit = outputs[0].logits.largest
    self.tolerance =
      isExact ? 0 : tolerance ?? LogitComparison.tolerance(reference: outputs[0].logits)
    firstDifference = outputs[1].logits.firstRow(
      differingFrom: outputs[2].logits, by: self.tolerance)
    greedy = continued.map { Greedy(dense: $0[0], masked: $0[1], pruned: $0[2]) }
    denseCache = outputs[0].cache
    prunedCache = outputs[2].cache
  }

  private static func closure(of mask: ChannelMask) throws(DecoderError) -> ChannelMask {
    do throws(MaskError) {
      return try mask.closed
    } catch {
      throw DecoderError(.geometry, error.description)
    }
  }
}
