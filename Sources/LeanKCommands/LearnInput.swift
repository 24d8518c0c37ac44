import ByteIO
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKModel
import LeanKReport
import LeanKTokenizer

/// The sequences that `learn` scores, and those that it judges masks by: parts of the text that do not
/// overlap.
struct LearnInput {
  let scoring: [ContextSample]
  let validation: [ContextSample]
  let context: Int
  let queries: Int
  let notes: [String]
  /// SHA-256 of all tokens, and of what is asked about them.
  let digest: String

  private static let context = 2048
  /// Bytes of a text that are read, at places evenly spread over it where it is longer, and of one place.
  private static let (textBytes, placeBytes) = (4 << 20, 64 << 10)
  /// Share of the text that is kept for judging.
  private static let validationShare = 5

  /// `sequences`: how many to score or to train on, where the options do not say.
  init(
    _ options: LearnDataOptions, sequences: Int, _ mode: DeploymentHints, _ model: ModelDescription,
    in directory: DirectoryHandle, limit: Int?
  ) throws {
    let (tokenizer, reason) = try Self.tokenizer(options, in: directory)
    let source = try Self.source(options, tokenizer)
    if let outside = source.tokens.joined().first(where: { $0 >= model.vocabularySize }) {
      throw CommandError(
        .malformed, "token \(outside) is outside the model's vocabulary of \(model.vocabularySize)")
    }
    queries = options.queries
    if case .rows(let rows, let answers) = source {
      guard options.context == nil, options.sequences == nil else {
        throw UsageError(
          "--context and --sequences draw from a text: the rows of --tokens are the sequences")
      }
      guard rows.count > options.validation else {
        throw UsageError(
          "--tokens has \(counted(rows.count, "sequence")), --validation keeps \(options.validation) of "
            + "them to judge by and leaves none to score")
      }
      context = (rows.first?.count ?? 1) - 1
      try Self.check(context, queries, mode, limit: limit)
      let queries = options.queries
      let samples = try rows.enumerated().map { index, row in
        let answer = answers?[index] ?? 0
        guard answer <= queries else {
          throw UsageError("--queries \(queries): an answer has \(answer) tokens")
        }
        var sample = ContextSample(
          tokens: row.map { Int32($0) }, queries: queries, answer: answer)
        sample.countsAsText = true
        return sample
      }
      scoring = Array(samples.dropLast(options.validation))
      validation = Array(samples.suffix(options.validation))
      notes = []
    } else {
      let tokens = source.tokens.joined().map { Int32($0) }
      context = options.context ?? min(Self.context, limit ?? .max)
      try Self.check(context, queries, mode, limit: limit)
      let cut = tokens.count - max(tokens.count / Self.validationShare, context + 1)
      guard cut > context else {
        throw UsageError(
          "the text has \(tokens.count) tokens: sequences of \(context) to score and others to judge by "
            + "take \(2 * (context + 1)); give more text or a smaller --context")
      }
      let share = options.needles ?? (tokenizer == nil ? 0 : 0.5)
      let drawing = Drawing(
        context: context, queries: queries, share: share, tokenizer: tokenizer, seed: options.seed)
      scoring = try drawing.samples(
        options.sequences ?? sequences, from: Array(tokens[..<cut]))
      validation = try drawing.samples(options.validation, from: Array(tokens[cut...]))
      notes = share > 0 || options.needles != nil ? [] : reason
    }
    digest = Self.digest(scoring + validation)
  }

  /// Sequences drawn from one part of a text.
  private struct Drawing {
    let context: Int
    let queries: Int
    /// Share that ends in a question.
    let share: Double
    let tokenizer: Tokenizer?
    let seed: UInt64

    func samples(_ count: Int, from tokens: [Int32]) throws(LearnError) -> [ContextSample] {
      let text = TextSamples(tokens)
      let asked = Int((Double(count) * share).rounded())
      let plain = try text.samples(
        0..<count - asked, context: context, queries: queries, seed: seed)
      guard asked > 0, let tokenizer else { return plain }
      let questions = try RetrievalSamples(tokenizer, in: text).samples(
        0..<asked, context: context, queries: queries, seed: seed)
      // What the model predicts on the way to an answer is worth as much as elsewhere.
      return plain
        + questions.map { sample in
          var sample = sample
          sample.countsAsText = true
          return sample
        }
    }
  }

  private static func tokenizer(
    _ options: LearnDataOptions, in directory: DirectoryHandle
  ) throws -> (Tokenizer?, [String]) {
    do throws(TokenizerError) {
      return (try Tokenizer(directory: directory), [])
    } catch {
      guard options.text.isEmpty, (options.needles ?? 0) == 0 else { throw error }
      return (nil, ["no questions are asked: \(error.description)"])
    }
  }

  private static func source(
    _ options: LearnDataOptions, _ tokenizer: Tokenizer?
  ) throws -> TokenInput.Sequences {
    if let path = options.tokens { return try TokenInput.sequences(path) }
    var tokens: [Int] = []
    for path in options.text {
      let text = try TextInput.read(path)
      for part in parts(of: text, bytes: textBytes / options.text.count) {
        tokens += try tokenizer?.encode(String(part), addingSpecialTokens: false) ?? []
      }
    }
    return .text(tokens)
  }

  /// The text, or pieces of it evenly spread, `bytes` in all about; they begin behind a space.
  private static func parts(of text: String, bytes: Int) -> [Substring] {
    let count = max(1, bytes / placeBytes)
    let utf8 = text.utf8
    guard utf8.count > bytes, count > 1 else { return [text[...]] }
    return (0..<count).map { index in
      let offset = (utf8.count - placeBytes) / (count - 1) * index
      let first = utf8.index(utf8.startIndex, offsetBy: offset)
      let last = utf8.index(first, offsetBy: placeBytes)
      func space(from place: String.Index) -> String.Index {
        utf8[place...].firstIndex(of: UInt8(ascii: " ")) ?? utf8.endIndex
      }
      let begin = index == 0 ? first : space(from: first)
      return text[begin..<max(begin, space(from: last))]
    }
  }

  private static func check(
    _ context: Int, _ queries: Int, _ mode: DeploymentHints, limit: Int?
  ) throws {
    guard context <= limit ?? .max else {
      throw UsageError("--context \(context): the model is made for \(limit ?? 0) tokens at most")
    }
    guard queries < context else {
      throw UsageError("--queries \(queries): a context of \(context) has room for fewer")
    }
    guard let window = mode.window else { return }
    let seen = window.unaccumulated.middleEnd(token: 1, position: context - queries)
    guard seen > window.sink else {
      throw UsageError(
        "no query meets a middle key: with sink \(window.sink) and recent \(window.recent) it takes "
          + "a context of more than \(window.sink + window.recent + queries) tokens, there are \(context)"
      )
    }
  }

  private static func digest(_ samples: [ContextSample]) -> String {
    var bytes: [UInt8] = []
    func append(_ number: Int) {
      for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
    for sample in samples {
      append(sample.tokens.count)
      append(sample.queries)
      append(sample.answer)
      for token in sample.tokens { append(Int(token)) }
    }
    return sha256(bytes)
  }
}
