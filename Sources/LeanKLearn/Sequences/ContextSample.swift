/// A sequence whose last tokens a model has to predict: what comes before them is the prompt.
public struct ContextSample: Sendable, Hashable {
  /// The context and the token after it, [context + 1].
  public let tokens: [Int32]
  /// How many tokens at the end of the context are decoded one by one; each predicts the token after
  /// it. The prompt is what comes before them.
  public let queries: Int
  /// Number of tokens at the end that answer a question of the context; 0 where there is none. The
  /// answer is right where each of them is the likeliest one.
  public let answer: Int
  /// Whether all queries count as predictions of text, beside the answer.
  public var countsAsText: Bool

  /// `queries` is at least 1 and less than the number of tokens before the last; `answer` at most
  /// `queries`.
  public init(tokens: [Int32], queries: Int, answer: Int = 0) {
    precondition(queries >= 1 && queries < tokens.count - 1 && (0...queries).contains(answer))
    self.tokens = tokens
    self.queries = queries
    self.answer = answer
    countsAsText = answer == 0
  }

  /// What goes through the model: all but the last token.
  public var context: ArraySlice<Int32> { tokens.dropLast() }
  /// What the queries have to predict, [queries].
  public var targets: ArraySlice<Int32> { tokens.suffix(queries) }
}
