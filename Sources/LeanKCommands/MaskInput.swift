import ByteIO
import LeanKCheckpoint
import LeanKFormat
import LeanKInterchange
import LeanKMask

/// A mask as a command was given it: a `.leank` file, or anything `import` reads.
struct MaskInput {
  static let fileLimit = 1 << 30
  /// The first bytes of a `.leank` file, whatever its name.
  private static let signature: [UInt8] = [0x89] + Array("LNK".utf8)

  var document: MaskDocument
  /// Where the input was a `.leank` file: what it holds.
  let file: LeankFile?
  let bytes: [UInt8]
  /// What the user should know about the reading, in sentences.
  let notes: [String]

  /// Reads the mask at `path` (`-` for a `.leank` file on standard input).
  ///
  /// With a checkpoint the mask adopts its geometry, or the reading fails where the two differ;
  /// tables need one.
  static func read(_ path: String, for checkpoint: CheckpointDirectory? = nil) throws -> MaskInput {
    let bytes = try readFile(path, limit: fileLimit)
    let description = try checkpoint?.geometryDescription
    var input: MaskInput
    if let format = InterchangeFormat(path: path), !bytes.span.starts(with: signature) {
      input = try imported(bytes, format, path, geometry: try description?.geometries)
    } else {
      let file = try LeankFile(bytes, path: path)
      input = MaskInput(document: file.document, file: file, bytes: bytes, notes: [])
    }
    if let description { input.document.mask = try description.adopt(input.document.mask) }
    return input
  }

  /// Scores alone are no mask: the refusal says how one is made.
  private static func imported(
    _ bytes: [UInt8], _ format: InterchangeFormat, _ path: String, geometry: [LayerGeometry]?
  ) throws -> MaskInput {
    let found = try importing(bytes, format, path, geometry: geometry)
    guard let mask = found.mask else {
      throw CommandError(
        .unsupported,
        "\(escaped(path, limit: 4096)): holds scores, not a mask of 0 and 1: make a mask of them with "
          + "leank mask, or add them to one with leank import --scores")
    }
    let document = try MaskDocument(
      mask: mask, alignment: Alignment.found(in: mask), scores: found.scores)
    return MaskInput(document: document, file: nil, bytes: bytes, notes: found.notes)
  }

  /// Scores from the file at `path`, for a mask or a model of the given layers.
  static func scores(
    _ path: String, geometry: [LayerGeometry]?
  ) throws -> (scores: ImportanceScores, layers: [LayerGeometry], notes: [String]) {
    let bytes = try readFile(path, limit: fileLimit)
    if let format = InterchangeFormat(path: path), !bytes.span.starts(with: signature) {
      let found = try importing(bytes, format, path, geometry: geometry)
      guard let scores = found.scores else {
        throw CommandError(
          .unsupported, "\(escaped(path, limit: 4096)): holds a mask of 0 and 1, no scores")
      }
      return (scores, found.layers, found.notes)
    }
    let document = try LeankFile(bytes, path: path).document
    guard let scores = document.scores else {
      throw CommandError(.unsupported, "\(escaped(path, limit: 4096)): the file has no scores")
    }
    return (scores, document.mask.layers.map(\.geometry), [])
  }

  private static func importing(
    _ bytes: [UInt8], _ format: InterchangeFormat, _ path: String, geometry: [LayerGeometry]?
  ) throws -> ImportedMask {
    do throws(InterchangeError) {
      return try MaskImporter.read(bytes.span, as: format, geometry: geometry)
    } catch {
      throw error.located(in: path)
    }
  }
}

extension CheckpointDirectory {
  /// The model's description without a look at the shapes of its tensors, which quantised weights
  /// do not keep.
  var geometryDescription: ModelDescription {
    get throws {
      try DescribedModel(configuration: configuration, tensorNames: tensorNames).description
    }
  }
}

extension Alignment {
  /// The largest unit that every kept count of `mask` is a multiple of, full heads aside.
  static func found(in mask: ChannelMask) throws(MaskError) -> Alignment {
    var unit = 0
    for layer in mask.layers {
      for head in layer.heads where head.count < head.width {
        var (a, b) = (unit, head.count)
        while b != 0 { (a, b) = (b, a % b) }
        unit = a
      }
    }
    return try Alignment(unit: max(1, unit), rule: .given)
  }
}
