import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKPruning

/// What `generate` runs: a dense model, a dense one under a mask, or one that `convert` made.
struct GenerationSubject {
  let model: DecoderModel
  let form: AttentionForm
  let policy: AttentionPolicy
  let notes: [String]

  init(
    _ checkpoint: CheckpointDirectory, mask: String?, instance: Int, _ options: ModeOptions,
    cache: ElementType
  ) throws {
    let weights = CheckpointWeights(checkpoint)
    guard let claim = checkpoint.pruned else {
      let description = try checkpoint.describe().description
      _ = try Self.readable(checkpoint)
      model = DecoderModel(description, weights: weights)
      guard let mask else {
        guard !options.isGiven else { throw UsageError("--mode and its window need --mask") }
        (form, policy, notes) = (.cached(nil, element: cache), AttentionPolicy(), [])
        return
      }
      let input = try MaskInput.read(mask, for: checkpoint, instance: instance)
      form = .cached(input.document.mask, element: cache)
      policy = AttentionPolicy(try options.resolve(hints: input.document.deployment))
      notes = input.notes
      return
    }
    guard mask == nil else {
      throw UsageError(
        "--mask: \(escaped(checkpoint.path, limit: 4096)) is converted and has its own")
    }
    let dense = try Self.readable(checkpoint)
    let file = try PositionalFile(name: claim.maskFile, in: checkpoint.directory)
    let document = try LeankFile(
      try file.contents(limit: FormatLimits.default.fileBytes), path: file.path
    ).document
    let own = try dense.adopt(document.mask)
    let mode = try options.resolve(hints: claim.deployment)
    guard claim.layout == .cache || mode.mode == .static else {
      throw UsageError("--mode windowed: layout \(claim.layout.rawValue) is always static")
    }
    var description = dense
    switch claim.layout {
    case .cache: form = .cached(own, element: cache)
    case .zeroed: form = .cached(nil, element: cache)
    case .rows:
      description = try dense.pruned(by: own)
      form = .cached(own, rows: try own.closed, element: cache)
    }
    model = DecoderModel(description, weights: weights)
    policy = AttentionPolicy(mode)
    notes = []
  }

  /// The dense description, whose weights are all of a type that the decoder reads.
  private static func readable(_ checkpoint: CheckpointDirectory) throws -> ModelDescription {
    let described = try checkpoint.describe(checkingShapes: false)
    try CheckpointWeights(checkpoint).requireReadable(described.shapes.keys)
    return described.description
  }
}
