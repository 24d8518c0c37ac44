import ByteIO
import LeanKCheckpoint
import LeanKFormat
import LeanKInterchange
import LeanKMask
import LeanKModel

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
    guard let description else { return input }
    do throws(ModelError) {
      input.document.mask = try description.adopt(input.document.mask)
    } catch {
      throw error.located(in: path)
    }
    return input
  }

  private static func imported(
    _ bytes: [UInt8], _ format: InterchangeFormat, _ path: String, geometry: [LayerGeometry]?
  ) throws -> MaskInput {
    let found = try importing(bytes, format, path, .mask, geometry: geometry)
    guard let mask = found.mask else { throw InterchangeError(.wanted, "holds no mask", in: path) }
    let document = try MaskDocument(
      mask: mask, alignment: Alignment.found(in: mask), scores: found.scores)
    return MaskInput(document: document, file: nil, bytes: bytes, notes: found.notes)
  }

  /// Scores as a command was given them.
  struct Scores {
    let values: ImportanceScores
    let layers: [LayerGeometry]
    let bytes: [UInt8]
    /// What the user should know about the reading, in sentences.
    let notes: [String]
  }

  /// Scores from the file at `path` (`-` for a `.leank` file on standard input), for a mask or a
  /// model of the given layers.
  static func scores(_ path: String, geometry: [LayerGeometry]?) throws -> Scores {
    let bytes = try readFile(path, limit: fileLimit)
    if let format = InterchangeFormat(path: path), !bytes.span.starts(with: signature) {
      let found = try importing(bytes, format, path, .scores, geometry: geometry)
      guard let scores = found.scores else {
        throw InterchangeError(.wanted, "holds no scores", in: path)
      }
      return Scores(values: scores, layers: found.layers, bytes: bytes, notes: found.notes)
    }
    let document = try LeankFile(bytes, path: path).document
    guard let scores = document.scores else {
      throw CommandError(.unsupported, "\(escaped(path, limit: 4096)): the file has no scores")
    }
    let mask: ChannelMask
    do throws(MaskError) {
      mask = if let geometry { try document.mask.adopting(geometry) } else { document.mask }
    } catch {
      throw CommandError(
        .malformed, "\(escaped(path, limit: 4096)): scores of another shape: \(error.description)")
    }
    return Scores(values: scores, layers: mask.layers.map(\.geometry), bytes: bytes, notes: [])
  }

  private static func importing(
    _ bytes: [UInt8], _ format: InterchangeFormat, _ path: String, _ wanted: MaskImporter.Wanted,
    geometry: [LayerGeometry]?
  ) throws -> ImportedMask {
    do throws(InterchangeError) {
      return try MaskImporter.read(bytes.span, as: format, geometry: geometry, wanting: wanted)
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
