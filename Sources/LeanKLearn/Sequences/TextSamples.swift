public import ByteIO
import LeanKDecoder

/// Plain samples: stretches of a text, of which a model has to predict the last tokens.
public struct TextSamples: Sendable {
  /// Token ids of the whole text.
  public let tokens: [Int32]

  public init(_ tokens: [Int32]) { self.tokens = tokens }

  /// Samples `range` of the endless row of samples that `seed` draws: stretches of context + 1 tokens
  /// that begin anywhere in the text, the last `queries` of them to be predicted.
  ///
  /// Fails where the text has fewer tokens than a stretch.
  public func samples(
    _ range: Range<Int>, context: Int, queries: Int, seed: UInt64
  ) throws(LearnError) -> [ContextSample] {
    guard tokens.count > context else {
      throw LearnError(
        .shortText,
        "the text has \(tokens.count) tokens, a context of \(context) and the token after it take "
          + "\(context + 1)")
    }
    return range.map { index in
      var random = SplitMix64(seed: seed, stream: 0, index: index)
      let first = random.below(tokens.count - context)
      return ContextSample(tokens: Array(tokens[first...first + context]), queries: queries)
    }
  }
}
