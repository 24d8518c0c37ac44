import ByteIO
import StrictJSON
import TensorFiles

/// The tokens of a `verify` run: from a file, or random ones from a seed.
enum TokenInput {
  static let fileLimit = 64 << 20
  /// Most values of a JSON file.
  static let tokenLimit = 2_500_000
  /// Most tokens of a run, those that each side continues by itself included.
  static let countLimit = 1 << 24

  /// Token ids from JSON (a flat list), .npy, or .safetensors (tensor `input_ids`), of shape [n] or
  /// [1, n].
  static func read(_ path: String) throws -> [Int] {
    let suffix = path.split(separator: ".").last.map { $0.lowercased() } ?? ""
    switch suffix {
    case "json": return try fromJSON(path)
    case "npy":
      let bytes = try readFile(path, limit: fileLimit)
      let array: TensorArray
      do throws(TensorFileError) {
        array = try NpyReader.read(bytes.span)
      } catch {
        throw error.located(in: path)
      }
      return try ids(of: array, path: path)
    case "safetensors":
      let file = try SafetensorsFile(path: path)
      guard let tensor = file["input_ids"] else {
        throw CommandError(.malformed, "\(escaped(path, limit: 4096)): no tensor \"input_ids\"")
      }
      guard tensor.range.count <= fileLimit else {
        throw CommandError(.limitExceeded, "\(escaped(path, limit: 4096)): too many tokens")
      }
      return try ids(of: try file.array(tensor), path: path)
    default:
      throw UsageError(
        "--tokens \(escaped(path, limit: 4096)): expected a .json, .npy or .safetensors file")
    }
  }

  /// `count` ids in 0..<vocabulary, the same for the same seed on every machine.
  static func random(count: Int, vocabulary: Int, seed: UInt64) -> [Int] {
    var state = seed
    return (0..<count).map { _ in
      // SplitMix64; the bias of the remainder is below 2^-40 for any vocabulary.
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
      return Int((mixed ^ mixed >> 31) % UInt64(vocabulary))
    }
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
