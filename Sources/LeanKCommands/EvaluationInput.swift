import ByteIO
import LeanKDecoder
import LeanKLearn
import LeanKModel
import LeanKTokenizer

/// What a model is judged on: plain samples of a text, and questions.
struct EvaluationInput {
  /// What the options ask for; nil = not given.
  struct Request {
    /// The lengths and numbers that hold where nothing else is said.
    static let (context, sequences, queries, questions) = (2048, 16, 128, 16)

    var text: String?
    var tokens: String?
    var context: Int?
    var sequences: Int?
    var queries = queries
    var questions: Int?
    var seed: UInt64?
  }

  let plain: [ContextSample]
  let questions: [ContextSample]
  let context: Int
  let notes: [String]

  /// All samples, those of plain text first.
  var samples: [ContextSample] { plain + questions }

  /// `limit`: the longest context of the model, nil where it does not say.
  init(
    _ request: Request, _ model: ModelDescription, in directory: DirectoryHandle, limit: Int?
  ) throws {
    let source = try Self.source(request, in: directory)
    if let outside = source.tokens.joined().first(where: { $0 >= model.vocabularySize }) {
      throw CommandError(
        .malformed, "token \(outside) is outside the model's vocabulary of \(model.vocabularySize)")
    }
    context = try Self.context(request, source, limit: limit)
    guard request.queries < context else {
      throw UsageError("--queries \(request.queries): a context of \(context) has room for fewer")
    }
    let seed = request.seed ?? 0
    if case .rows(let rows, let answers) = source {
      let samples = try rows.enumerated().map { index, row in
        let answer = answers?[index] ?? 0
        guard answer <= request.queries else {
          throw UsageError("--queries \(request.queries): an answer has \(answer) tokens")
        }
        return ContextSample(
          tokens: row.map { Int32($0) }, queries: request.queries, answer: answer)
      }
      plain = samples.filter { $0.answer == 0 }
      let given = samples.filter { $0.answer > 0 }
      let text = TextSamples(source.tokens.joined().map { Int32($0) })
      let (drawn, notes) = try Self.questions(
        request, text, context: context, seed, given: given.count, in: directory)
      questions = given + drawn
      self.notes = notes
      return
    }
    let text = TextSamples(source.tokens.joined().map { Int32($0) })
    plain = try text.samples(
      0..<(request.sequences ?? Request.sequences), context: context, queries: request.queries,
      seed: seed)
    (questions, notes) = try Self.questions(
      request, text, context: context, seed, given: 0, in: directory)
  }

  /// The context asked for, that of the rows, or the standard one as far as the model goes.
  private static func context(
    _ request: Request, _ source: TokenInput.Sequences, limit: Int?
  ) throws -> Int {
    guard case .rows(let rows, _) = source else {
      let context = request.context ?? min(Request.context, limit ?? .max)
      guard context <= limit ?? .max else {
        throw UsageError("--context \(context): the model is made for \(limit ?? 0) tokens at most")
      }
      return context
    }
    guard request.context == nil, request.sequences == nil else {
      throw UsageError(
        "--context and --sequences draw from a text: the rows of --tokens are the sequences")
    }
    let context = (rows.first?.count ?? 1) - 1
    guard context >= 2 else {
      throw CommandError(
        .malformed, "--tokens: a row is a context of 2 tokens or more and one more")
    }
    guard context <= limit ?? .max else {
      throw UsageError(
        "--tokens: rows of \(context) tokens and one more, the model is made for \(limit ?? 0)")
    }
    return context
  }

  /// The text's tokens, or the sequences of a file.
  private static func source(
    _ request: Request, in directory: DirectoryHandle
  ) throws -> TokenInput.Sequences {
    if let path = request.tokens { return try TokenInput.sequences(path) }
    let text = try TextInput.read(request.text ?? "-")
    return .text(
      try Tokenizer(directory: directory).encode(text, addingSpecialTokens: false))
  }

  /// Questions in `text`; none where the model has no tokenizer and none were asked for, or where
  /// `given` ones came with the sequences.
  private static func questions(
    _ request: Request, _ text: TextSamples, context: Int, _ seed: UInt64, given: Int,
    in directory: DirectoryHandle
  ) throws -> ([ContextSample], [String]) {
    let count = request.questions ?? (given > 0 ? 0 : Request.questions)
    guard count > 0 else { return ([], []) }
    let tokenizer: Tokenizer
    do throws(TokenizerError) {
      tokenizer = try Tokenizer(directory: directory)
    } catch {
      guard request.questions == nil else { throw error }
      return ([], ["no questions are asked: \(error.description)"])
    }
    do throws(LearnError) {
      let samples = RetrievalSamples(tokenizer, in: text)
      return (try samples.samples(0..<count, context: context, seed: seed), [])
    } catch {
      guard request.questions == nil, error.failureClass == .usage else { throw error }
      return ([], ["no questions are asked: \(error.description)"])
    }
  }
}
