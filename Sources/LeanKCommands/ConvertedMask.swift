import LeanKCheckpoint
import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKPruning

/// The `mask.leank` that a pruned checkpoint carries.
struct ConvertedMask {
  let bytes: [UInt8]
  let contentID: String
  /// The mask in it.
  let mask: ChannelMask

  /// The mask alone, as the layout needs it: with the checkpoint's geometry; for `zeroed`, whose
  /// weights compute the closure, C with M's identity as its origin. A `.leank` file that is already
  /// so is taken byte for byte.
  init(
    _ loaded: MaskInput, plan: PruningPlan, deployment: DeploymentHints,
    source: CheckpointDirectory
  ) throws {
    var document = loaded.document
    document.mask = plan.mask
    if document.deployment == nil { document.deployment = deployment }
    if let file = loaded.file, plan.layout != .zeroed,
      file.instances[loaded.instance] == document
    {
      let isAlone = file.identities == [file.contentID]
      bytes = isAlone ? loaded.bytes : try file.alone(instance: loaded.instance).bytes
      contentID = file.identities[loaded.instance].hex
      mask = document.mask
      return
    }
    if document.provenance[Provenance.configDigest] == nil {
      document.provenance[Provenance.configDigest] = sha256(source.configuration.bytes)
    }
    document.provenance[Provenance.writer] = "leank \(leankVersion)"
    if plan.layout == .zeroed {
      let original = try LeankFile.encode(document)
      document.provenance[Provenance.derivedFrom] = original.file.contentID.hex
      document.mask = try plan.mask.closed
      document.deployment = .static
      // the closure's counts are not those that the rule chose
      if document.mask != plan.mask { document.alignment = try Alignment.found(in: document.mask) }
    }
    let encoded = try LeankFile.encode(
      document, replacing: loaded.file, instance: loaded.instance)
    bytes = encoded.bytes
    contentID = encoded.file.contentID.hex
    mask = document.mask
  }
}
