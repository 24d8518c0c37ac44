import ByteIO
import LeanKLearn
import LeanKTokenizer
import TestSupport
import Testing

/// Samples drawn from a text of Fixtures, with the trained model's tokenizer.
@Suite("Samples")
struct SampleTests {
  private let tokenizer: Tokenizer
  private let text: TextSamples

  init() throws {
    tokenizer = try Tokenizer(
      directory: try DirectoryHandle(path: Fixtures.path("Models/leank-tiny")))
    let words = String(decoding: try Fixtures.bytes("Prompts/amber-bridge.txt"), as: UTF8.self)
    let sentences = try #require(words.split(separator: " Question").first)
    let ids = try tokenizer.encode(
      String(repeating: String(sentences), count: 8), addingSpecialTokens: false)
    text = TextSamples(ids.map { Int32($0) })
  }

  @Test("a plain sample is a stretch of the text, anywhere in it")
  func plain() throws {
    let samples = try text.samples(0..<64, context: 100, queries: 10, seed: 3)
    let places = try samples.map { sample in
      #expect(sample.tokens.count == 101)
      #expect(sample.queries == 10)
      #expect(sample.answer == 0)
      return try #require(
        (0...text.tokens.count - 101).first {
          text.tokens[$0..<$0 + 101].elementsEqual(sample.tokens)
        })
    }
    #expect(Set(places).count > 32)
    let whole = try text.samples(0..<1, context: text.tokens.count - 1, queries: 1, seed: 3)
    #expect(whole[0].tokens == text.tokens)
  }

  @Test("samples are the seed's, whichever of them are drawn")
  func deterministic() throws {
    let retrieval = RetrievalSamples(tokenizer, in: text)
    let (plain, questions) = (
      try text.samples(0..<6, context: 64, queries: 8, seed: 7),
      try retrieval.samples(0..<6, context: 256, queries: 64, seed: 7)
    )
    #expect(try text.samples(2..<4, context: 64, queries: 8, seed: 7) == Array(plain[2..<4]))
    #expect(
      try retrieval.samples(2..<4, context: 256, queries: 64, seed: 7) == Array(questions[2..<4]))
    #expect(try text.samples(0..<6, context: 64, queries: 8, seed: 8) != plain)
    #expect(try retrieval.samples(0..<6, context: 256, queries: 64, seed: 8) != questions)
  }

  /// What the last question asks for: the key, and how its fact begins.
  private let questions = [
    (/(the key of )(\S+)\? Answer: The key of (\S+) is$/, "The key of "),
    (/(the access code for )(\S+)\? Answer: The access code for (\S+) is$/, "The access code for "),
    (/(the password of )(\S+)\? Answer: The password of (\S+) is$/, "that the password of "),
  ]

  @Test("a question's answer is what its fact says, among as many facts as its kind has")
  func retrieval() throws {
    let context = 512
    let samples = try RetrievalSamples(tokenizer, in: text)
      .samples(0..<30, context: context, seed: 5)
    var facts: [[Int]] = [[], [], []]
    var wordings: Set<String> = []
    for (index, sample) in samples.enumerated() {
      #expect(sample.tokens.count == context + 1)
      #expect(sample.answer > 0 && sample.answer + 7 <= sample.queries)
      let ids = sample.tokens.map { Int($0) }
      let answer = try tokenizer.decode(Array(ids.suffix(sample.answer)))
      let words = try tokenizer.decode(Array(ids.dropLast(sample.answer)))
      let found = questions.compactMap { pattern, fact in
        words.firstMatch(of: pattern).map {
          (key: String($0.2), again: String($0.3), fact: fact)
        }
      }
      let question = try #require(found.first, "\(words.suffix(120))")
      #expect(question.key == question.again)
      wordings.insert(question.fact)
      let end = try #require(words.ranges(of: "Question: ").first?.lowerBound)
      let said = words[..<end].matches(
        of: /(The key of|The access code for|that the password of) ([a-z-]+) is(?: \d{4})\./)
      let fact = question.fact + question.key + " is" + answer + "."
      #expect(words[..<end].ranges(of: fact).count == 1, "\(fact)")
      let digits = answer.wholeMatch(of: /\ [1-9]\d{3}/)
      #expect(digits != nil)
      // The text itself has facts of the first wording about two keys.
      let planted = said.filter { !["amber-bridge", "silver-falcon"].contains($0.2) }
      facts[index % 3].append(planted.count)
      let asked = words.ranges(of: "Question: ").count
      #expect(asked == (index % 3 == 1 ? 2 : 1))
    }
    #expect(wordings.count == 3)
    #expect(facts[0].allSatisfy { $0 <= 1 })
    #expect(facts[1].allSatisfy { 3...4 ~= $0 })
    #expect(facts[2].allSatisfy { $0 >= 3 })
  }

  @Test("a question of many distractors has many in a long context")
  func distractors() throws {
    let long = TextSamples(Array(repeating: text.tokens, count: 6).flatMap(\.self))
    let sample = try RetrievalSamples(tokenizer, in: long)
      .samples(2..<3, context: 6400, queries: 64, seed: 1)[0]
    #expect(sample.queries == 64)
    let words = try tokenizer.decode(sample.tokens.map { Int($0) })
    #expect(
      words.matches(of: /[a-z]+-[a-z]+ is \d{4}\.\n/).count >= 18
        || words.matches(of: /The key of [a-z-]+ is/).count >= 18)
  }

  @Test("what does not fit is refused by name")
  func refusals() throws {
    let retrieval = RetrievalSamples(tokenizer, in: text)
    func code(_ body: () throws -> Void) -> LearnCode? {
      do { try body() } catch { return (error as? LearnError)?.code }
      return nil
    }
    #expect(
      code { _ = try text.samples(0..<1, context: text.tokens.count, queries: 4, seed: 0) }
        == .shortText)
    #expect(code { _ = try retrieval.samples(0..<3, context: 40, seed: 0) } == .shortContext)
    #expect(
      code { _ = try retrieval.samples(0..<3, context: 256, queries: 2, seed: 0) }
        == .shortContext)
    #expect(code { _ = try retrieval.samples(0..<3, context: 100_000, seed: 0) } == .shortText)
  }
}
