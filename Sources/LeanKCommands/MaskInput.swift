import ByteIO
import LeanKCheckpoint
import LeanKFormat
import LeanKInterchange
import LeanKMask
import LeanKModel

/// A mask as a command was given it: one of a `.leank` file, or anything `import` reads.
struct MaskInput {
  static let fileLimit = 1 << 30

  /// The masks of the input, all of the checkpoint's geometry where there is one.
  var documents: [MaskDocument]
  /// Which of them was asked for.
  let instance: Int
  /// Where the input was a `.leank` file: what it holds.
  let file: LeankFile?
  let bytes: [UInt8]
  /// What the user should know about the reading, in sentences.
  let notes: [String]

  /// The mask asked for.
  var document: MaskDocument { documents[instance] }

  /// The identity of the mask asked for, where the input was a `.leank` file.
  var identity: ContentID? { file?.identities[instance] }

  /// Reads mask `instance` at `path` (`-` for a `.leank` file on standard input).
  ///
  /// With a checkpoint the masks adopt its geometry, or the reading fails where the two differ;
  /// tables need one.
  static func read(
    _ path: String, for checkpoint: CheckpointDirectory? = nil, instance: Int = 0,
    kind: String? = nil
  ) throws -> MaskInput {
    let bytes = try readFile(path, limit: fileLimit)
    let model = try checkpoint?.geometry(checkingShapes: false)
    var input: MaskInput
    if let format = foreignFormat(of: bytes, path) {
      try check(instance, of: 1, in: path)
      input = try imported(bytes, format, path, geometry: model?.geometries, kind)
    } else {
      let file = try LeankFile(bytes, path: path)
      try check(instance, of: file.instances.count, in: path)
      input = MaskInput(
        documents: file.instances, instance: instance, file: file, bytes: bytes, notes: [])
      do throws(InterchangeError) {
        try MaskImporter.check(kind, against: input.document.scores?.kind)
      } catch {
        throw error.located(in: path)
      }
    }
    guard let model else { return input }
    do throws(ModelError) {
      for index in input.documents.indices {
        input.documents[index].mask = try model.adopt(input.documents[index].mask)
      }
    } catch {
      throw error.located(in: path)
    }
    return input
  }

  /// Format of a file that is no `.leank` file, by its name; one that begins as `.leank` files or
  /// drafts of theirs do is one, whatever its name.
  private static func foreignFormat(of bytes: [UInt8], _ path: String) -> InterchangeFormat? {
    bytes.span.starts(with: Array("LNK".utf8), at: 1) ? nil : InterchangeFormat(path: path)
  }

  /// Fails with a usage error unless a file of `count` masks has mask `instance`.
  static func check(_ instance: Int, of count: Int, in path: String) throws {
    guard instance < count else {
      throw UsageError(
        "--instance \(instance): \(escaped(path, limit: 4096)) holds "
          + (count == 1 ? "one mask, 0" : "\(count) masks, 0 to \(count - 1)"))
    }
  }

  private static func imported(
    _ bytes: [UInt8], _ format: InterchangeFormat, _ path: String, geometry: [LayerGeometry]?,
    _ kind: String?
  ) throws -> MaskInput {
    let found = try importing(bytes, format, path, .mask, geometry: geometry, kind)
    guard let mask = found.mask else { throw InterchangeError(.wanted, "holds no mask", in: path) }
    let document = try MaskDocument(
      mask: mask, alignment: Alignment.found(in: mask), scores: found.scores)
    return MaskInput(
      documents: [document], instance: 0, file: nil, bytes: bytes, notes: found.notes)
  }

  /// Scores as a command was given them.
  struct Scores {
    let values: ImportanceScores
    let layers: [LayerGeometry]
    let bytes: [UInt8]
    /// What the user should know about the reading, in sentences.
    let notes: [String]
  }

  /// Scores from the file at `path` (`-` for a `.leank` file on standard input), those of mask
  /// `instance` where it is a `.leank` file, for a mask or a model of the given layers.
  static func scores(
    _ path: String, geometry: [LayerGeometry]?, instance: Int = 0, kind: String? = nil
  ) throws -> Scores {
    let bytes = try readFile(path, limit: fileLimit)
    if let format = foreignFormat(of: bytes, path) {
      try check(instance, of: 1, in: path)
      let found = try importing(bytes, format, path, .scores, geometry: geometry, kind)
      guard let scores = found.scores else {
        throw InterchangeError(.wanted, "holds no scores", in: path)
      }
      return Scores(values: scores, layers: found.layers, bytes: bytes, notes: found.notes)
    }
    let file = try LeankFile(bytes, path: path)
    try check(instance, of: file.instances.count, in: path)
    let document = file.instances[instance]
    guard let scores = document.scores else {
      throw CommandError(.unsupported, "\(escaped(path, limit: 4096)): the file has no scores")
    }
    do throws(InterchangeError) {
      try MaskImporter.check(kind, against: scores.kind)
    } catch {
      throw error.located(in: path)
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
    geometry: [LayerGeometry]?, _ kind: String?
  ) throws -> ImportedMask {
    do throws(InterchangeError) {
      return try MaskImporter.read(
        bytes.span, as: format, geometry: geometry, kind: kind, wanting: wanted)
    } catch {
      throw error.located(in: path)
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
