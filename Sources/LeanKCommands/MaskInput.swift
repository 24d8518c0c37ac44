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
  /// The file and its bytes, where the input was a `.leank` file.
  let file: LeankFile?
  let fileBytes: [UInt8]?
  /// What the user should know about the reading, in sentences.
  let notes: [String]

  /// Reads the mask at `path` (`-` for a `.leank` file on standard input) for a checkpoint, whose
  /// geometry it adopts.
  static func read(_ path: String, for checkpoint: CheckpointDirectory) throws -> MaskInput {
    let description = try DescribedModel(
      configuration: checkpoint.configuration, tensorNames: checkpoint.tensorNames
    ).description
    var input = try read(path, geometries: try description.geometries)
    input.document.mask = try description.adopt(input.document.mask)
    return input
  }

  /// Reads the mask at `path`; formats that hold no geometry take it from `geometries`.
  static func read(_ path: String, geometries: [LayerGeometry]? = nil) throws -> MaskInput {
    let bytes = try readFile(path, limit: fileLimit)
    guard let format = InterchangeFormat(path: path), !bytes.span.starts(with: signature) else {
      let file = try LeankFile(bytes, path: path)
      return MaskInput(document: file.document, file: file, fileBytes: bytes, notes: [])
    }
    do throws(InterchangeError) {
      let imported = try MaskImporter.read(bytes, as: format, geometries: geometries)
      let document = try imported.document(path: path)
      return MaskInput(document: document, file: nil, fileBytes: nil, notes: imported.notes)
    } catch {
      throw error.located(in: path)
    }
  }
}
