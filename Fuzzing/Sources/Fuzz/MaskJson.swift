import LeanKInterchange
import LeanKMask

/// leank's JSON form: what is read is written and read again equal.
func maskJson(_ bytes: [UInt8]) {
  guard let imported = try? MaskImporter.read(bytes.span, as: .json), let mask = imported.mask
  else {
    return
  }
  guard let document = try? MaskDocument(mask: mask, scores: imported.scores) else {
    fatalError("scores of another shape")
  }
  let part: MaskExporter.Part = imported.scores == nil ? .mask : .both
  // infinite scores are never read from JSON, so everything that is read can be written
  guard let file = try? MaskExporter.bytes(of: document, part, as: .json),
    let again = try? MaskImporter.read(file.span, as: .json), again == imported
  else { fatalError("read again differently") }
}
