import ByteIO
import LeanKCheckpoint
import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKPruning
import LeanKReport

/// What `inspect` and `diff` were pointed at: a mask in a file or in a pruned checkpoint, or a
/// checkpoint that has none.
enum InspectSource {
  case mask(InspectedMask)
  case checkpoint(CheckpointDirectory)

  /// Opens mask `instance` of `path`; `model` is a checkpoint to take geometry and facts from.
  init(path: String, model: String? = nil, instance: Int = 0) throws {
    guard path == "-" || !Self.isDirectory(path) else {
      guard model == nil else {
        throw UsageError(
          "--model gives a mask's geometry, \(escaped(path, limit: 4096)) is a checkpoint by itself"
        )
      }
      let checkpoint = try CheckpointDirectory(path: path)
      guard let claim = checkpoint.pruned else {
        self = .checkpoint(checkpoint)
        return
      }
      let file = try PositionalFile(name: claim.maskFile, in: checkpoint.directory)
      let bytes = try file.contents(limit: FormatLimits.default.fileBytes)
      let leank = try LeankFile(bytes, path: file.path)
      try MaskInput.check(instance, of: leank.instances.count, in: file.path)
      var mask = InspectedMask(
        document: leank.instances[instance], instance: instance, file: leank, notes: [])
      mask.document.deployment = claim.deployment
      mask.layout = claim.layout
      mask.facts = CheckpointFacts(of: checkpoint)
      if leank.contentID.hex != claim.maskContentID {
        mask.notes.append(
          "\(escaped(file.path, limit: 4096)) is not the mask that config.json names, "
            + "\(claim.maskContentID.prefix(16))...")
      }
      self = .mask(mask)
      return
    }
    let checkpoint = try model.map { model throws(CheckpointError) in
      try CheckpointDirectory(path: model)
    }
    let input = try MaskInput.read(path, for: checkpoint, instance: instance)
    var mask = InspectedMask(
      document: input.document, instance: instance, file: input.file, notes: input.notes)
    if let checkpoint {
      mask.facts = CheckpointFacts(of: checkpoint)
      mask.facts.modelName = checkpoint.modelName
      if let plan = try? PruningPlan(
        source: checkpoint, mask: input.document.mask, layout: .rows)
      {
        mask.facts.weightBytes = plan.bytesIn
        mask.facts.rowsWeightBytes = plan.bytesOut
      }
    }
    self = .mask(mask)
  }

  /// Anything that cannot be opened as a directory is a file, and fails as one.
  private static func isDirectory(_ path: String) -> Bool {
    (try? DirectoryHandle(path: path)) != nil
  }
}

/// A mask and what stood around it.
struct InspectedMask {
  var document: MaskDocument
  let instance: Int
  /// nil where the input was not a `.leank` file.
  let file: LeankFile?
  /// Layout of the pruned checkpoint it came from.
  var layout: PruningLayout?
  var facts = CheckpointFacts()
  var notes: [String]

  init(document: MaskDocument, instance: Int, file: LeankFile?, notes: [String]) {
    self.document = document
    self.instance = instance
    self.file = file
    self.notes = notes
  }
}

extension CheckpointFacts {
  /// What a report says of `checkpoint`; what its architecture does not tell stays unknown.
  init(of checkpoint: CheckpointDirectory) {
    self.init()
    contextLimit = checkpoint.configuration.contextLimit
    cachedKeys = checkpoint.pruned?.layout.cachedKeys ?? .kept
    guard let model = try? checkpoint.geometry(checkingShapes: false) else { return }
    elementBytes = checkpoint.cacheElementBytes(of: model)
    slidingWindows = model.layers.map(\.slidingWindow)
    valueDims = model.layers.map(\.valueDim)
    hasQueryKeyNorm = model.layers.contains { $0.keyNorm != .none }
    hasUnknownRows = !model.knowsRows
  }
}
