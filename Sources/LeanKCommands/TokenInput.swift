import ByteIO
import LeanKDecoder
import StrictJSON
import TensorFiles

/// Token ids for a run: from a file, or random ones from a seed.
enum TokenInput {
  static let fileLimit = 64 << 20
  /// Most values of a JSON file.
  static let tokenLimit = 2_500_000
  /// Most tokens of a run, those that each side continues by itself included.
  static let countLimit = 1 << 24

  /// What `eval` reads: a text's tokens, of which sequences are drawn, or the sequences themselves.
  enum Sequences {
    case text([Int])
    /// [sequences, context + 1], and how many tokens at each row's end answer a question, nil where
    /// the file does not say.
    case rows([[Int]], answers: [Int]?)

    var tokens: [[Int]] {
      switch self {
      case .text(let ids): [ids]
      case .rows(let rows, _): rows
      }
    }
  }

  /// Tokens of shape [n], or [sequences, context + 1] in .npy and .safetensors; a .safetensors file may
  /// have `answer_tokens` [sequences] beside its `input_ids`.
  static func sequences(_ path: String) throws -> Sequences {
    guard suffix(of: path) != "json" else { return .text(try fromJSON(path)) }
    let (array, answers) = try arrays(path)
    guard array.shape.count == 2 else { return .text(try ids(of: array, path: path)) }
    let (count, length) = (array.shape[0], array.shape[1])
    let all = try integers(of: array, path: path)
    guard count > 0, length > 0 else {
      throw CommandError(
        .malformed,
        "\(escaped(path, limit: 4096)): tokens of shape \(array.shape), expected [sequences, context + 1]"
      )
    }
    let rows = (0..<count).map { Array(all[$0 * length..<($0 + 1) * length]) }
    guard let answers else { return .rows(rows, answers: nil) }
    let numbers = try integers(of: answers, path: path)
    guard answers.shape == [count], numbers.allSatisfy({ $0 < length }) else {
      throw CommandError(
        .malformed,
        "\(escaped(path, limit: 4096)): answer_tokens of shape \(answers.shape), expected [\(count)] "
          + "numbers below \(length)")
    }
    return .rows(rows, answers: numbers)
  }

  /// Token ids from JSON (a flat list), .npy, or .safetensors (tensor `input_ids`), of shape [n] or
  /// [1, n].
  static func read(_ path: String) throws -> [Int] {
    guard suffix(of: path) != "json" else { return try fromJSON(path) }
    return try ids(of: try arrays(path).ids, path: path)
  }

  private static func suffix(of path: String) -> String {
    path.split(separator: ".").last.map { $0.lowercased() } ?? ""
  }

  /// The ids of a .npy or .safetensors file, and the latter's `answer_tokens`.
  private static func arrays(_ path: String) throws -> (ids: TensorArray, answers: TensorArray?) {
    switch suffix(of: path) {
    case "npy":
      let bytes = try readFile(path, limit: fileLimit)
      do throws(TensorFileError) {
        return (try NpyReader.read(bytes.span), nil)
      } catch {
        throw error.located(in: path)
      }
    case "safetensors":
      let file = try SafetensorsFile(path: path)
      guard let tensor = file["input_ids"] else {
        throw CommandError(.malformed, "\(escaped(path, limit: 4096)): no tensor \"input_ids\"")
      }
      let answers = file["answer_tokens"]
      guard tensor.range.count <= fileLimit, answers?.range.count ?? 0 <= fileLimit else {
        throw CommandError(.limitExceeded, "\(escaped(path, limit: 4096)): too many tokens")
      }
      return (try file.array(tensor), try answers.map { try file.array($0) })
    default:
      throw UsageError(
        "--tokens \(escaped(path, limit: 4096)): expected a .json, .npy or .safetensors file")
    }
  }

  /// `count` ids in 0..<vocabulary, the same for the same seed on every machine.
  static func random(count: Int, vocabulary: Int, seed: UInt64) -> [Int] {
    var random = SplitMix64(seed: seed)
    // The bias of the remainder is below 2^-40 for any vocabulary.
    return (0..<count).map { _ in Int(random.next() % UInt64(vocabulary)) }
  }

  private static func fromJSON(_ path: String) throws -> [Int] {
    let bytes = try readFile(path, limit: fileLimit)
    let root = try JSONDocument(bytes, path: path, valueLimit: tokenLimit).root
    guard root.kind == .array else {
      throw CommandError(
        .malformed,
        "\(escaped(path, limit: 4096)): expected a flat list of token ids, found \(root.kind.rawValue)"
      )
    }
    return try root.children.map { _, value in
      guard let id = value.integer, id >= 0 else {
        throw CommandError(
          .malformed,
          "\(escaped(path, limit: 4096)): a token id is not a whole number, at byte "
            + "\(value.byteRange.lowerBound)")
      }
      return id
    }
  }

  private static func ids(of array: TensorArray, path: String) throws -> [Int] {
    guard array.shape.count == 1 || (array.shape.count == 2 && array.shape[0] == 1) else {
      throw CommandError(
        .malformed,
        "\(escaped(path, limit: 4096)): tokens of shape \(array.shape), expected [n] or [1, n]")
    }
    return try integers(of: array, path: path)
  }

  private static func integers(of array: TensorArray, path: String) throws -> [Int] {
    guard let ids = array.integers else {
      throw CommandError(
        .malformed,
        "\(escaped(path, limit: 4096)): tokens are \(array.scalar.rawValue), not integers")
    }
    guard ids.allSatisfy({ $0 >= 0 }) else {
      throw CommandError(.malformed, "\(escaped(path, limit: 4096)): a token id is negative")
    }
    return ids
  }
}
