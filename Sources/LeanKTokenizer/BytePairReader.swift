import ByteIO
import StrictJSON

/// Reads the `model` of a tokenizer's file.
struct BytePairReader {
  private let part: FilePart
  private var text: [UInt8] = []

  private init(_ part: FilePart) { self.part = part }

  static func read(_ part: FilePart) throws(TokenizerError) -> BytePairModel {
    var reader = BytePairReader(part)
    return try reader.model()
  }

  private mutating func model() throws(TokenizerError) -> BytePairModel {
    // files from before there were several kinds do not name theirs
    if part.member("type") != nil {
      let kind = try part.kind()
      guard kind == "BPE" else { throw part.unsupported(kind, "tokenizer model") }
    }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard try part.text(name)?.isEmpty ?? true else {
        throw part.unsupportedValue(name, "a \(name) is not something leank computes")
      }
    }
    if let dropout = part.member("dropout"), dropout.double != 0 {
      throw part.unsupportedValue(
        "dropout", "dropout, which makes encoding random, is not something leank computes")
    }
    let vocabulary = try readVocabulary()
    var model = BytePairModel(vocabulary: vocabulary, merges: try readMerges(vocabulary))
    model.fusesUnknown = try part.bool("fuse_unk", default: false)
    model.ignoresMerges = try part.bool("ignore_merges", default: false)
    if let token = try part.text("unk_token") {
      model.unknown = .init(token: token, id: vocabulary.id(of: Array(token.utf8).span))
    }
    if try part.bool("byte_fallback", default: false) {
      model.byteTokens = (0..<256).map { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        let token = "<0x" + (byte < 16 ? "0" : "") + digits + ">"
        return vocabulary.id(of: Array(token.utf8).span)
      }
    }
    return model
  }

  private mutating func readVocabulary() throws(TokenizerError) -> Vocabulary {
    let member = try part.required("vocab")
    guard member.kind == .object else {
      throw part.error(
        .wrongType, "expected an object of tokens and ids, found \(member.kind.rawValue)",
        at: "vocab")
    }
    let count = member.count
    guard count <= Vocabulary.countLimit else {
      throw part.error(
        .tooLarge, "\(count) tokens, the limit is \(Vocabulary.countLimit)", at: "vocab")
    }
    var vocabulary = Vocabulary(capacity: count)
    for value in member.values {
      guard value.keyBytes <= Vocabulary.writtenLimit else { throw tooLong("vocab") }
      text.removeAll(keepingCapacity: true)
      value.appendKey(to: &text)
      guard let id = value.integer, id >= 0 else {
        throw part.error(.outOfRange, "the id of \(shown) is no integer from 0 up", at: "vocab")
      }
      switch vocabulary.insert(text.span, id: id) {
      case nil: break
      case .id:
        throw part.error(
          .tooLarge, "id \(id) of \(shown), the limit is \(Vocabulary.idLimit - 1)", at: "vocab")
      case .duplicate:
        throw part.error(.inconsistent, "\(shown) has id \(id), as another token has", at: "vocab")
      case .count, .bytes:
        throw part.error(
          .tooLarge, "tokens of more than \(Vocabulary.byteLimit) bytes in all", at: "vocab")
      }
    }
    return vocabulary
  }

  /// The text at hand, for an error.
  private var shown: String { quoted(String(decoding: text.prefix(256), as: UTF8.self)) }

  private func tooLong(_ key: String) -> TokenizerError {
    part.error(.tooLarge, "a token of more than \(Vocabulary.writtenLimit) bytes", at: key)
  }

  private mutating func readMerges(_ vocabulary: Vocabulary) throws(TokenizerError) -> MergeTable {
    let member = try part.required("merges")
    guard member.kind == .array else {
      throw part.error(
        .wrongType, "expected a list, found \(member.kind.rawValue)", at: "merges")
    }
    let count = member.count
    guard count <= MergeTable.countLimit else {
      throw part.error(
        .tooLarge, "\(count) merges, the limit is \(MergeTable.countLimit)", at: "merges")
    }
    var merges = MergeTable(capacity: count)
    let kind = member.values.first { _ in true }?.kind
    for (index, value) in member.values.enumerated() {
      guard value.byteRange.count <= 2 * Vocabulary.writtenLimit else { throw tooLong("merges") }
      guard value.kind == kind else {
        throw part.error(.wrongType, "both pairs and texts", at: "merges")
      }
      guard let split = try readPair(value, index) else { continue }
      let span = text.span
      let left = vocabulary.id(of: span.extracting(0..<split))
      let right = vocabulary.id(of: span.extracting(split..<span.count))
      guard let left, let right, let whole = vocabulary.id(of: span) else {
        throw part.error(
          .mergeToken, "merge \(index) of \(shown) is of tokens that the vocabulary lacks",
          at: "merges")
      }
      merges.append(left, right, into: whole)
    }
    return merges
  }

  /// Puts both halves of a merge into `text`; where the second begins, nil for a line of version.
  private mutating func readPair(_ value: JSONValue, _ index: Int) throws(TokenizerError) -> Int? {
    text.removeAll(keepingCapacity: true)
    if value.kind == .array {
      var split = 0
      var count = 0
      for half in value.values {
        if count == 1 { split = text.count }
        guard count < 2, half.appendUTF8(to: &text) else {
          count = 0
          break
        }
        count += 1
      }
      guard count == 2 else {
        throw part.error(.wrongType, "merge \(index) is no pair of texts", at: "merges")
      }
      return split
    }
    guard value.appendUTF8(to: &text) else {
      throw part.error(
        .wrongType, "merge \(index) is neither a pair nor a text", at: "merges")
    }
    if text.starts(with: Array("#version".utf8)) { return nil }
    guard let space = text.firstIndex(of: 0x20), !text[(space + 1)...].contains(0x20) else {
      throw part.error(.wrongType, "merge \(index), \(shown), is not two texts", at: "merges")
    }
    text.remove(at: space)
    return space
  }
}
