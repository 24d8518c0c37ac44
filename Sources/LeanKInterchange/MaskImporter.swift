public import ByteIO
public import LeanKMask
public import TensorFiles

/// Reads masks and scores from the files that other programs write.
///
/// One array stands for all layers as [layers, kv_heads, head_dim], or for one as
/// [kv_heads, head_dim]. Where a file holds several, their names say what they are:
///
/// - `mask` and `scores` hold all layers; `layers.0.mask`, `layers.0.scores`, `layers.1.mask` and so
///   on hold one each, and their shapes may differ.
/// - A single tensor may have any name.
/// - Names that are equal but for one number are the layers in the order of that number, which runs
///   from 0 without gaps. Lists of tensors count so.
/// - Everything else is refused by name.
///
/// The numbers behind `layers.`, in the names of leank and of others, are those of a model's layers:
/// one that no tensor has, or whose tensor has the shape [0, 0], is a layer without a K cache of heads.
/// Where a model is given, its layers that have one may also be counted alone, in arrays of all layers
/// and by number.
///
/// An array without such a role is a mask when it holds only 0 and 1, whatever its type, and scores
/// otherwise. A table [layers, kv_heads * head_dim] needs the geometry of a model.
public enum MaskImporter {
  /// Most channels with scores; without, `TensorFileLimits.elements` is the limit.
  static let scoreLimit = 16_000_000
  static let layerLimit = 4096
  static let headLimit = 4096
  static let widthLimit = 4096
  /// Key of safetensors metadata that keeps the kind of the scores.
  static let kindKey = "leank.scores_kind"
  /// Kind of scores that no one named and that are no alphas.
  static let unnamedKind = "importance"

  /// The mask, scores or both in `bytes`, a file in `format`.
  ///
  /// - Parameters:
  ///   - geometry: the layers of a model. The file has to agree with it, and takes query heads and
  ///     rotation from it; needed for tables.
  ///   - wanted: what the file has to hold; one without it fails with `.wanted` before memory is taken
  ///     for the rest.
  ///
  /// Scores keep their bits in F32, F16 and BF16. Integers and F64 become F32, with a note where that
  /// rounds. Scores whose kind the file does not tell are `leank.alpha` when all lie in 0...1.
  public static func read(
    _ bytes: Span<UInt8>, as format: InterchangeFormat, geometry: [LayerGeometry]? = nil,
    wanting wanted: Wanted? = nil, limits: TensorFileLimits = .standard
  ) throws(InterchangeError) -> ImportedMask {
    if format == .json {
      let found = try MaskJSON.read(bytes, geometry: geometry)
      try wanted?.check(hasMask: found.mask != nil, hasScores: found.scores != nil)
      return found
    }
    var kind: String?
    let tensors: [NamedTensor]
    do throws(TensorFileError) {
      switch format {
      case .npy: tensors = [NamedTensor(name: "", array: try NpyReader.read(bytes, limits: limits))]
      case .npz: tensors = try NpzReader.read(bytes, limits: limits)
      case .pth: tensors = try PthReader.read(bytes, limits: limits)
      case .safetensors:
        let content = try SafetensorsBytes.read(bytes, limits: limits)
        tensors = content.tensors
        kind = content.metadata[kindKey]
      case .tsv, .json:
        tensors = [NamedTensor(name: "", array: try TsvReader.read(bytes, limits: limits))]
        kind = ImportanceScores.alphaKind
      }
    } catch {
      throw InterchangeError(error)
    }
    guard !tensors.isEmpty else {
      throw InterchangeError(.noTensor, "the file holds no tensor")
    }
    let parts = try TensorNames.parts(of: tensors, geometry: geometry)
    for part in parts { try part.checkLimits(limits) }
    return try assemble(parts, kind: kind, geometry: geometry, wanted)
  }

  /// Puts the parts of a file together and checks them against each other and the model.
  private static func assemble(
    _ parts: [LayeredTensors], kind: String?, geometry: [LayerGeometry]?, _ wanted: Wanted?
  ) throws(InterchangeError) -> ImportedMask {
    var layers: [LayerGeometry]?
    var areMasks: [Bool] = []
    for part in parts {
      let shapes = try part.geometries(matching: geometry)
      guard layers == nil || layers == shapes else {
        throw InterchangeError(.geometry, "mask and scores are of different shape")
      }
      layers = shapes
      areMasks.append(try part.isMask())
    }
    try wanted?.check(hasMask: areMasks.contains(true), hasScores: areMasks.contains(false))
    let shapes = layers ?? []
    var mask: ChannelMask?
    var scores: ImportanceScores?
    var notes: [String] = []
    if let missing = parts.map(\.missing).max(), missing > 0, geometry == nil {
      notes.append(
        "\(missing) of \(shapes.count) layers have no tensor and are taken for layers without a K cache "
          + "of heads; --model checks it")
    }
    for (part, isMask) in zip(parts, areMasks) {
      if isMask {
        mask = try part.mask(shapes)
      } else {
        let (found, rounded) = try part.scores(kind: kind)
        scores = found
        if rounded > 0 {
          notes.append("\(rounded) of \(found.count) scores were rounded to the nearest F32")
        }
      }
    }
    return ImportedMask(layers: shapes, mask: mask, scores: scores, notes: notes)
  }

  /// What a caller cannot do without.
  public enum Wanted: Sendable, Hashable {
    case mask, scores

    fileprivate func check(hasMask: Bool, hasScores: Bool) throws(InterchangeError) {
      switch self {
      case .mask where !hasMask:
        throw InterchangeError(
          .wanted,
          "holds scores, not a mask of 0 and 1: make a mask of them with leank mask, or add them to one "
            + "with leank import --scores")
      case .scores where !hasScores:
        throw InterchangeError(.wanted, "holds a mask of 0 and 1, no scores")
      default: break
      }
    }
  }
}
