import LeanKCheckpoint
import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKPruning

/// The `mask.leank` that a pruned checkpoint carries.
struct MaskBeside {
  let bytes: [UInt8]
  let contentID: String

  /// The mask as the layout needs it: with the checkpoint's geometry; for `zeroed`, whose weights
  /// compute the closure, C with M's content id as its origin. A `.leank` file that is already so
  /// is taken byte for byte.
  init(
    _ loaded: MaskInput, plan: PruningPlan, deployment: DeploymentHints,
    source: CheckpointDirectory
  ) throws {
    var document = loaded.document
    document.mask = plan.mask
    if document.deployment == nil { document.deployment = deployment }
    if let file = loaded.file, plan.layout != .zeroed, file.document == document {
      bytes = loaded.bytes
      contentID = file.contentID.hex
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
    }
    let encoded = try LeankFile.encode(document)
    bytes = encoded.bytes
    contentID = encoded.file.contentID.hex
  }
}
