public import ByteIO
import StrictJSON

/// A Hugging Face tokenizer (`tokenizer.json`): texts to token ids and back.
///
/// Computes what the `tokenizers` library computes, for byte-pair encodings. Parts of a file that it
/// does not know are refused by name when the file is read, so that no text is encoded almost right.
/// Truncation and padding, which belong to batches, are left to the caller, as transformers does.
public struct Tokenizer: Sendable {
  public static let fileName = "tokenizer.json"
  /// Longest file in bytes.
  public static let byteLimit = 64 << 20
  /// Longest text in bytes.
  public static let textLimit = 64 << 20
  /// Most JSON values of a file: 262,144 tokens and twice as many merges, written as pairs, are 1.8
  /// million.
  static let valueLimit = 3_000_000

  let model: BytePairModel
  let normalizers: [Normalizer]
  let preTokenizers: [PreTokenizer]
  let postProcessor: PostProcessor
  /// nil where the file names no decoder.
  let decoders: [TokenDecoder.Kind]?
  /// Tokens beyond the model's own and those of the model that are found first, in the order of the
  /// file.
  public let addedTokens: [AddedToken]
  private let addedByID: [Int: Int]
  /// What each of them is decoded to: those that are looked for in normalized text stand for their
  /// own normal form.
  private let addedTexts: [[UInt8]]
  let literal: AddedTokenFinder
  let normalized: AddedTokenFinder

  /// Reads a whole file; `path` is named in errors.
  public init(_ bytes: [UInt8], path: String? = nil) throws(TokenizerError) {
    guard bytes.count <= Self.byteLimit else {
      throw TokenizerError(
        .tooLarge, "\(bytes.count) bytes, the limit is \(Self.byteLimit)", in: path)
    }
    let document: JSONDocument
    do throws(JSONError) {
      // texts are compared as bytes here, however many marks they pile up
      document = try JSONDocument(
        bytes, path: path, valueLimit: min(1024 + bytes.count / 4, Self.valueLimit),
        combiningLimit: .max)
    } catch {
      throw TokenizerError(error)
    }
    let root = try FilePart(document.root, "", path: path)
    guard let modelPart = try root.part("model") else {
      throw root.error(.missingKey, "the key is missing", at: "model")
    }
    model = try BytePairReader.read(modelPart)
    normalizers = try root.part("normalizer").map(Normalizer.steps) ?? []
    preTokenizers = try root.part("pre_tokenizer").map(PreTokenizer.steps) ?? []
    postProcessor = try root.part("post_processor").map(PostProcessor.init) ?? PostProcessor()
    decoders = try root.part("decoder").map(TokenDecoder.Kind.steps)
    addedTokens = try AddedTokenReader.read(root, beside: model.vocabulary)
    addedByID = Dictionary(addedTokens.enumerated().map { ($1.id, $0) }) { $1 }
    addedTexts = try AddedTokenReader.texts(of: addedTokens, normalizers, in: root)
    literal = AddedTokenFinder(addedTokens, addedTexts) { !$0.isNormalized }
    normalized = AddedTokenFinder(addedTokens, addedTexts) { $0.isNormalized }
    for id in postProcessor.before + postProcessor.behind where self.bytes(of: id) == nil {
      throw root.error(.unknownID, "id \(id) names no token", at: "post_processor")
    }
  }

  /// Opens the tokenizer of a model's directory.
  public init(directory: DirectoryHandle) throws(TokenizerError) {
    let file: PositionalFile
    let bytes: [UInt8]
    let isIncomplete: Bool
    do throws(FileError) {
      isIncomplete = try directory.kind(of: StagingDirectory.marker) != nil
      file = try PositionalFile(name: Self.fileName, in: directory)
      bytes = try file.contents(limit: Self.byteLimit)
      try file.checkUnchanged()
    } catch {
      throw TokenizerError(error)
    }
    guard !isIncomplete else {
      throw TokenizerError(
        .incomplete,
        "the directory holds \(StagingDirectory.marker): a conversion that did not finish",
        in: directory.path)
    }
    try self.init(bytes, path: file.path)
  }

  /// All ids are below this.
  public var idBound: Int {
    max(model.vocabulary.idBound, (addedTokens.map(\.id).max() ?? -1) + 1)
  }

  /// The token of an id as the file has it, in the alphabet of its model; nil where none has it.
  public func token(_ id: Int) -> String? {
    bytes(of: id).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The id of a token as the file has it, nil where there is none.
  public func id(of token: String) -> Int? {
    let added = addedTokens.first { $0.content.utf8.elementsEqual(token.utf8) }
    return added?.id ?? model.vocabulary.id(of: Array(token.utf8).span)
  }

  /// Whether an id is that of a special token.
  public func isSpecial(_ id: Int) -> Bool {
    addedByID[id].map { addedTokens[$0].isSpecial } ?? false
  }

  func bytes(of id: Int) -> [UInt8]? {
    if let index = addedByID[id] { return addedTexts[index] }
    return model.vocabulary.token(id).map { Array($0) }
  }

  /// The ids of `text`, with the special tokens that the file puts around it unless told otherwise.
  ///
  /// Fails on a text longer than `textLimit`, one whose words cannot be told apart in reasonable
  /// time, and one with a character for which there is no token. For many texts, a `TextEncoder` is
  /// faster.
  public func encode(
    _ text: String, addingSpecialTokens: Bool = true
  ) throws(TokenizerError) -> [Int] {
    var encoder = TextEncoder(self)
    return try encoder.encode(text, addingSpecialTokens: addingSpecialTokens)
  }

  /// The text of `ids`. Bytes that are no UTF-8 become U+FFFD.
  ///
  /// Fails on an id that names no token.
  public func decode(
    _ ids: [Int], skippingSpecialTokens: Bool = false
  ) throws(TokenizerError) -> String {
    var stream = TextStream(self, skippingSpecialTokens: skippingSpecialTokens)
    var text: [UInt8] = []
    for id in ids {
      guard bytes(of: id) != nil else {
        throw TokenizerError(.unknownID, "id \(id) names no token, ids are below \(idBound)")
      }
      text += try stream.bytes(appending: id)
    }
    text += try stream.lastBytes()
    return String(decoding: text, as: UTF8.self)
  }

  static func tooLong() -> TokenizerError {
    TokenizerError(.tooLarge, "a text of more than \(textLimit) bytes")
  }
}
