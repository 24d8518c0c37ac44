public import LeanKDecoder
public import LeanKMask

/// What masks leave of a model: its predictions at the end of long contexts, beside the dense model's.
public struct MaskEvaluation: Sendable, Hashable {
  /// A mask and how it is used: its mode, window and rule for empty heads.
  public struct Use: Sendable, Hashable {
    public let mask: ChannelMask
    public let policy: AttentionPolicy

    public init(_ mask: ChannelMask, _ policy: AttentionPolicy) {
      self.mask = mask
      self.policy = policy
    }
  }

  /// Means over positions that predict a token of plain text, and answers to questions.
  public struct Predictions: Sendable, Hashable {
    public var positions = 0
    /// Mean negative log likelihood of the text, nats a token.
    public var loss = 0.0
    /// Mean Kullback-Leibler divergence of the dense model's distribution from this one, nats a token.
    public var divergence = 0.0
    /// Share of positions where this model and the dense one find the same token likeliest.
    public var topAgreement = 1.0
    /// Questions that were answered rightly, of `questions`.
    public var answered = 0
    public var questions = 0

    public init() {}
  }

  /// The dense model under each use's policy: the same but for rounding.
  public let dense: Predictions
  /// One a use, in their order.
  public let masked: [Predictions]
}
