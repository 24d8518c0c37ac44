import LeanKFormat
import LeanKMask

/// The input chooses the masks of a file; it is written and read again equal.
func leankRoundtrip(_ bytes: [UInt8]) {
  var input = Input(bytes: bytes)
  guard let documents = try? input.documents(),
    let written = try? LeankFile.encode(instances: documents)
  else { return }
  guard let file = try? LeankFile(written.bytes) else { fatalError("written but not read") }
  precondition(file.instances == documents, "read again differently")
}

/// Bytes that make choices; 0 once they are used up.
private struct Input {
  let bytes: [UInt8]
  var offset = 0

  mutating func byte() -> Int {
    defer { offset += 1 }
    return offset < bytes.count ? Int(bytes[offset]) : 0
  }

  /// Masks of one geometry. Scores and provenance of the first are those of a mask without its own.
  mutating func documents() throws -> [MaskDocument] {
    var layers: [LayerGeometry] = []
    for _ in 0..<1 + byte() % 6 { layers.append(try layer()) }
    var documents: [MaskDocument] = []
    for _ in 0..<1 + byte() % 4 {
      var document = try document(layers)
      document.scores = document.scores ?? documents.first?.scores
      if document.provenance.isEmpty, let main = documents.first {
        document.provenance = main.provenance
      }
      documents.append(document)
    }
    return documents
  }

  private mutating func layer() throws -> LayerGeometry {
    let heads = byte() % 6
    guard heads > 0 else { return .withoutCache }
    let width = 1 + byte() % 80
    guard byte() % 2 == 1 else { return try LayerGeometry(kvHeads: heads, headDim: width) }
    let rotary = try RotaryGeometry(
      width: 2 * (byte() % 41), pairing: byte() % 2 == 0 ? .half : .interleaved)
    let value = byte() % 100
    return try LayerGeometry(
      kvHeads: heads, headDim: width,
      attention: AttentionGeometry(
        queryHeads: heads * (1 + byte() % 8), rotary: rotary, valueDim: value == 0 ? nil : value))
  }

  private mutating func document(_ layers: [LayerGeometry]) throws -> MaskDocument {
    var masks: [LayerMask] = []
    for layer in layers {
      var sets: [ChannelSet] = []
      for _ in 0..<layer.kvHeads {
        let (first, step) = (byte() % layer.headDim, 1 + byte() % 7)
        sets.append(
          ChannelSet(
            width: layer.headDim, channels: stride(from: first, to: layer.headDim, by: step)))
      }
      masks.append(try LayerMask(geometry: layer, heads: sets))
    }
    var document = try MaskDocument(mask: try ChannelMask(layers: masks))
    if byte() % 2 == 1 {
      document.alignment = try Alignment(
        unit: 1 + byte() % 4, rule: Alignment.Rule.allCases[byte() % 3],
        targetRatio: byte() % 2 == 0 ? nil : Double(byte()) / 255)
    }
    if byte() % 2 == 1 {
      let scalar = ImportanceScores.Scalar.allCases[byte() % 3]
      let mask: UInt32 = scalar == .f32 ? .max : 0xFFFF
      let bits = (0..<document.mask.channels).map { _ in
        UInt32(byte() << 24 | byte() << 16 | byte() << 8 | byte()) & mask
      }
      document.scores = try ImportanceScores(kind: "fuzz", scalar: scalar, bits: bits)
    }
    if byte() % 2 == 1 {
      document.deployment = .windowed(
        try AttentionWindow(
          sink: byte(), recent: byte(), accumulate: byte(),
          prefill: AttentionWindow.Prefill.allCases[byte() % 2],
          emptyHeads: AttentionWindow.EmptyHeads.allCases[byte() % 2]))
    }
    for _ in 0..<byte() % 4 {
      document.provenance["k\(byte())"] = String(repeating: "v", count: byte())
    }
    return document
  }
}
