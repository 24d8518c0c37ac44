public import LeanKMask

/// The numeric half of `verify`: a dense model with a mask against a pruned model, on the same tokens.
///
/// The verdict is exact: reference and pruned side take the sums of attention in ascending order, and
/// no difference passes. Beside it the reference in its fast order is compared with the pruned side,
/// against the noise of the run: the reference once more, in another order. With a tolerance both are
/// replaced by one number, and both sides run in their fast orders.
public struct Verification: Sendable {
  /// What is to be verified.
  public struct Request {
    public var dense: DecoderModel
    /// nil = the dense model itself, with a cache that the mask makes smaller.
    public var pruned: DecoderModel?
    /// How the pruned model attends; its order of sums is chosen by the verification.
    public var prunedForm: AttentionForm
    /// The mask with the dense model's geometry.
    public var mask: ChannelMask
    public var tokens: [Int32]
    /// Tokens that go in one pass; the others are decoded one at a time.
    public var promptLength: Int
    /// Tokens that each side then continues with by itself.
    public var greedyCount = 0
    public var policy = AttentionPolicy()
    /// Largest difference that passes; nil for the exact verdict.
    public var tolerance: Double?
    /// Bytes of weights of each checkpoint that may stay in memory.
    public var residentWeights = 0

    public init(
      dense: DecoderModel, pruned: DecoderModel?, prunedForm: AttentionForm, mask: ChannelMask,
      tokens: [Int32], promptLength: Int
    ) {
      self.dense = dense
      self.pruned = pruned
      self.prunedForm = prunedForm
      self.mask = mask
      self.tokens = tokens
      self.promptLength = promptLength
    }
  }

  /// The reference in its fast order against the pruned side.
  public struct Independent: Sendable, Hashable {
    public let maximum: Float
    /// Largest difference between two orders of the reference.
    public let noise: Float
    /// Largest difference that passes.
    public let limit: Double

    /// Multiple of the noise that passes. The ratio was at most 1.7 in 16 runs of real models; a fault
    /// shows as orders of magnitude.
    static let factor = 16.0

    public var passed: Bool { Double(maximum) <= limit }
  }

  /// Agreement of two sides after one layer.
  public struct Layer: Sendable, Hashable {
    public let layer: Int
    /// Largest difference between the residual streams, and between the outputs of attention, of the
    /// reference in its fast order and the pruned side.
    public let maximumHidden: Float
    public let maximumAttention: Float
    /// Whether reference and pruned side had the same bits in ascending order; true with a tolerance.
    public let isExact: Bool
  }

  /// A logit that is not finite.
  public struct NonFinite: Sendable, Hashable {
    public enum Side: String, Sendable { case dense, masked, pruned }
    public let side: Side
    public let position: Int
  }

  /// The sides' own continuations.
  public struct Greedy: Sendable, Hashable {
    public let dense: [Int32]
    public let masked: [Int32]
    public let pruned: [Int32]
  }

  public let tokens: [Int32]
  public let promptLength: Int
  /// (query, key) pairs in which windowed mode sees a middle key, in the layer that has most.
  public let middleKeys: Int
  /// Masked against pruned: the reference in its fast order.
  public let comparison: LogitComparison
  public let tolerance: Double?
  /// Largest difference in ascending order; nil with a tolerance.
  public let exactMaximum: Float?
  /// nil with a tolerance.
  public let independent: Independent?
  public let layers: [Layer]
  /// First position whose logits differ by more than passes; nil when there is none.
  public let firstDifference: Int?
  /// The first side with a logit that is not finite, dense before masked before pruned.
  public let nonFinite: NonFinite?
  /// Dense against masked.
  public let drift: LogitComparison
  /// Mean negative log likelihood of the given tokens, nil for a single one.
  public let lossDense: Double?
  public let lossMasked: Double?
  public let greedy: Greedy?
  public let denseCache: CacheSize
  public let prunedCache: CacheSize

  public var passed: Bool {
    nonFinite == nil
      && tolerance.map { Double(comparison.maximum) <= $0 } ?? true
      && exactMaximum ?? 0 == 0 && layers.allSatisfy(\.isExact)
      && independent?.passed ?? true
      && greedy.map { $0.masked == $0.pruned } ?? true
  }

  /// Logits of three sides for a part of the vocabulary, [tokens, part] each.
  public struct LogitBlock {
    public let vocabulary: Range<Int>
    public let dense: Matrix
    public let masked: Matrix
    public let pruned: Matrix
  }
}
