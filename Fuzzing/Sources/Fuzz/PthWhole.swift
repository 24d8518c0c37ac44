import LeanKInterchange
import LeanKMask

/// A whole torch file, as it is and with its checksums made right: a mask or scores that are read
/// are written and read again equal.
func pthWhole(_ bytes: [UInt8]) {
  for file in [bytes, withChecksums(bytes)] {
    if let imported = try? MaskImporter.read(file.span, as: .pth) { writeAgain(imported) }
  }
}

private func writeAgain(_ imported: ImportedMask) {
  guard
    let full = try? ChannelMask(
      layers: imported.layers.map { geometry in
        let head = ChannelSet.full(width: geometry.headDim)
        return try LayerMask(
          geometry: geometry, heads: Array(repeating: head, count: geometry.kvHeads))
      }),
    let document = try? MaskDocument(mask: imported.mask ?? full, scores: imported.scores)
  else { fatalError("no document") }
  let parts: [MaskExporter.Part] =
    (imported.mask == nil ? [] : [.mask]) + (imported.scores == nil ? [] : [.scores])
  for part in parts {
    // a torch file holds one tensor, so not every geometry; safetensors holds all
    for format in [InterchangeFormat.safetensors, .pth] {
      guard let file = try? MaskExporter.bytes(of: document, part, as: format) else {
        precondition(format == .pth, "read but not written")
        continue
      }
      guard let again = try? MaskImporter.read(file.span, as: format) else {
        fatalError("written but not read")
      }
      if part == .mask { precondition(again.mask == imported.mask, "another mask") }
      if part == .scores {
        precondition(again.scores?.bits == imported.scores?.bits, "other scores")
      }
    }
  }
}
