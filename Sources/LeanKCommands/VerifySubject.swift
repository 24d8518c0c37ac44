import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKPruning
import TensorFiles

/// What `verify` holds against the dense checkpoint: a pruned one with its mask, or a mask alone.
struct VerifySubject {
  let document: MaskDocument
  let contentID: String
  /// nil when only a mask was given.
  let checkpoint: CheckpointDirectory?
  /// What the pruned checkpoint, else the mask, says about its use.
  let deployment: DeploymentHints?
  let notes: [String]

  init(pruned: String?, mask: String?, dense: CheckpointDirectory) throws {
    if let mask {
      let input = try MaskInput.read(mask, for: dense)
      document = input.document
      contentID = input.file?.contentID.hex ?? ""
      checkpoint = nil
      deployment = input.document.deployment
      notes = input.notes
      return
    }
    let checkpoint = try CheckpointDirectory(path: pruned ?? "")
    guard let claim = checkpoint.pruned else {
      throw CommandError(
        .malformed,
        "\(escaped(checkpoint.path, limit: 4096)): config.json has no object \"leank\", so this is not "
          + "a checkpoint that leank convert made")
    }
    let file = try PositionalFile(name: claim.maskFile, in: checkpoint.directory)
    let bytes = try file.contents(limit: FormatLimits.default.fileBytes)
    let leank = try LeankFile(bytes, path: file.path)
    document = leank.document
    contentID = leank.contentID.hex
    self.checkpoint = checkpoint
    deployment = claim.deployment
    notes = []
  }

  /// The pruned side of a numeric run: its model, nil for the dense one itself, and how it attends.
  func prunedSide(
    of description: ModelDescription
  ) throws -> (model: DecoderModel?, form: AttentionForm) {
    let mask = try description.adopt(document.mask)
    guard let checkpoint, let claim = checkpoint.pruned else { return (nil, .cached(mask)) }
    let weights = CheckpointWeights(checkpoint)
    switch claim.layout {
    case .cache: return (DecoderModel(description, weights: weights), .cached(mask))
    case .zeroed: return (DecoderModel(description, weights: weights), .reference(nil))
    case .rows:
      return (
        DecoderModel(try description.pruned(by: mask), weights: weights),
        .cached(mask, rows: try mask.closed)
      )
    }
  }
}

extension CheckpointDirectory {
  /// Bytes of one cached element: a cache holds activations, two bytes unless weights are wider.
  var cacheElementBytes: Int {
    get throws {
      let model = try describe().description
      let scalar = model.layers.first.flatMap { tensor($0.attention.key.weight)?.info.scalar }
      return scalar == .f32 || scalar == .f64 ? 4 : 2
    }
  }
}
