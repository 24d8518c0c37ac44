import ByteIO
import LeanKCheckpoint
import LeanKDecoder
import LeanKFormat
import LeanKLearn
import LeanKMask
import LeanKModel
import LeanKPruning

/// What `eval` judges: a model with dense weights, and masks for it.
struct EvaluationSubject {
  /// One mask, of the model's geometry.
  struct Judged {
    /// The file as the command line has it.
    let path: String
    let instance: Int
    let mask: ChannelMask
    let policy: AttentionPolicy
  }

  let model: DecoderModel
  let masks: [Judged]
  let notes: [String]

  /// `masks`: files, of which a `.leank` file gives all its masks or the one of `instance`. A
  /// checkpoint of layout `cache` has one of its own and takes no other.
  init(
    _ checkpoint: CheckpointDirectory, masks paths: [String], instance: Int?, _ options: ModeOptions
  ) throws {
    let described = try DescribedModel(
      configuration: checkpoint.configuration, tensorNames: checkpoint.tensorNames)
    guard let claim = checkpoint.pruned else {
      let description = try checkpoint.describe().description
      let weights = CheckpointWeights(checkpoint)
      try weights.requireReadable(described.shapes.keys)
      guard !paths.isEmpty || !options.isGiven else {
        throw UsageError("--mode and its window need --mask")
      }
      var (found, notes): ([Judged], [String]) = ([], [])
      for path in paths {
        let input = try MaskInput.read(path, for: checkpoint, instance: instance ?? 0)
        notes += input.notes + input.document.provenance.warnings(for: checkpoint, path)
        let instances = instance.map { $0..<$0 + 1 } ?? 0..<input.documents.count
        for index in instances {
          let document = input.documents[index]
          let mode = try options.resolve(hints: document.deployment)
          found.append(
            Judged(
              path: path, instance: index, mask: document.mask, policy: AttentionPolicy(mode)))
        }
      }
      (model, masks, self.notes) = (DecoderModel(description, weights: weights), found, notes)
      return
    }
    let name = escaped(checkpoint.path, limit: 4096)
    guard paths.isEmpty else {
      throw UsageError("--mask: \(name) is converted and has its own")
    }
    guard claim.layout == .cache else {
      throw CommandError(
        .unsupported,
        "\(name): layout \(claim.layout.rawValue) has no dense weights to judge the mask by; give the "
          + "dense checkpoint and --mask \(name)/\(escaped(claim.maskFile))")
    }
    let weights = CheckpointWeights(checkpoint)
    try weights.requireReadable(described.shapes.keys)
    let file = try PositionalFile(name: claim.maskFile, in: checkpoint.directory)
    let document = try LeankFile(
      try file.contents(limit: FormatLimits.default.fileBytes), path: file.path
    ).document
    model = DecoderModel(described.description, weights: weights)
    masks = [
      Judged(
        path: file.path, instance: 0, mask: try described.description.adopt(document.mask),
        policy: AttentionPolicy(try options.resolve(hints: claim.deployment)))
    ]
    notes = []
  }
}
