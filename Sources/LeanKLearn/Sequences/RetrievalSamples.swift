public import ByteIO
import LeanKDecoder
public import LeanKTokenizer

/// Samples that end in a question about something that the context says far before: facts that are
/// made up stand between sentences of a real text, and the question asks for the number in one of
/// them.
public struct RetrievalSamples: Sendable {
  /// What makes a question hard.
  public enum Kind: Int, Sendable, CaseIterable {
    /// One fact, which is asked for.
    case single
    /// Four facts, of which two are asked for, one after the other; the second answer counts.
    case several
    /// As many facts of one form as take a sixteenth of the context, four at least and 32 at most;
    /// one is asked for.
    case manyDistractors

    /// The kind of sample `index`: each in its turn.
    init(sample index: Int) { self = Self.allCases[index % Self.allCases.count] }
  }

  /// Least tokens that are decoded before an answer's first, where no number of queries is given:
  /// the last ones of the question.
  static let queriesBeforeAnswer = 7

  private let tokenizer: Tokenizer
  private let text: TextSamples

  /// `text`: what the facts stand in, as ids of `tokenizer`.
  public init(_ tokenizer: Tokenizer, in text: TextSamples) {
    self.tokenizer = tokenizer
    self.text = text
  }

  /// Samples `range` of the endless row of samples that `seed` draws, of each kind in its turn.
  ///
  /// Every sample has context + 1 tokens and ends in the answer's. `queries`: tokens that are decoded
  /// at its end; nil = those that give the answer and a few before it, the same number for all.
  ///
  /// Fails where the text or the context is too short for a question, and where an answer is longer
  /// than `queries`.
  public func samples(
    _ range: Range<Int>, context: Int, queries: Int? = nil, seed: UInt64
  ) throws(LearnError) -> [ContextSample] {
    var encoder = TextEncoder(tokenizer)
    var parts: [(tokens: [Int32], answer: Int)] = []
    for index in range {
      var random = SplitMix64(seed: seed, stream: 1, index: index)
      var questions = QuestionWriter(Kind(sample: index), context: context, &random)
      parts.append(try build(&questions, context: context, &random, &encoder))
    }
    let longest = parts.map(\.answer).max() ?? 1
    let queries = queries ?? min(context - 1, longest + Self.queriesBeforeAnswer)
    guard longest <= queries else {
      throw LearnError(
        .shortContext, "an answer of \(longest) tokens does not lie in \(queries) queries")
    }
    return parts.map { ContextSample(tokens: $0.tokens, queries: queries, answer: $0.answer) }
  }

  /// The tokens of one sample and how many of them are its answer.
  private func build(
    _ writer: inout QuestionWriter, context: Int, _ random: inout SplitMix64,
    _ encoder: inout TextEncoder
  ) throws(LearnError) -> (tokens: [Int32], answer: Int) {
    func ids(_ text: String) throws(LearnError) -> [Int32] {
      do throws(TokenizerError) {
        return try encoder.encode(text, addingSpecialTokens: false).map { Int32($0) }
      } catch {
        throw LearnError(error)
      }
    }
    var facts: [[Int32]] = []
    for fact in writer.facts { facts.append(try ids(fact)) }
    // Encoded together, as text that is written is; the answer is what the question alone has not.
    let end = try ids(writer.question + writer.answer)
    let question = try ids(writer.question)
    let shared = zip(end, question).prefix { $0 == $1 }.count
    let answer = end.count - shared
    // Where facts are long, as many distractors go as it takes.
    while facts.count > writer.asked, facts.reduce(0, { $0 + $1.count }) > context / 2 {
      facts.removeLast()
    }
    let room = context + 1 - end.count - facts.reduce(0) { $0 + $1.count }
    guard room > 0 else {
      throw LearnError(
        .shortContext,
        "a question and its facts take \(context + 1 - room) tokens, a context of \(context) has no "
          + "room for them")
    }
    guard text.tokens.count >= room else {
      throw LearnError(
        .shortText,
        "the text has \(text.tokens.count) tokens, a question in a context of \(context) takes \(room)"
      )
    }
    let first = random.below(text.tokens.count - room + 1)
    let cuts = facts.map { _ in first + random.below(room) }.sorted()
    var tokens: [Int32] = []
    var next = first
    for (cut, fact) in zip(cuts, random.distinct(facts.count, below: facts.count)) {
      tokens += text.tokens[next..<cut] + facts[fact]
      next = cut
    }
    tokens += text.tokens[next..<first + room] + end
    return (tokens, answer)
  }
}
