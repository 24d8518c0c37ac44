import LeanKFormat
import LeanKMask

/// The input chooses a document; it is written and read again equal.
func leankRoundtrip(_ bytes: [UInt8]) {
  var input = Input(bytes: bytes)
  guard let document = try? input.document(), let written = try? LeankFile.encode(document) else {
    return
  }
  guard let file = try? LeankFile(written.bytes) else { fatalError("written but not read") }
  precondition(file.document == document, "read again differently")
}

/// Bytes that make choices; 0 once they are used up.
private struct Input {
  let bytes: [UInt8]
  var offset = 0

  mutating func byte() -> Int {
    defer { offset += 1 }
    return offset < bytes.count ? Int(bytes[offset]) : 0
  }

  mutating func document() throws -> MaskDocument {
    var layers: [LayerMask] = []
    for _ in 0..<1 + byte() % 6 {
      let heads = 1 + byte() % 5
      let width = 1 + byte() % 80
      var attention: AttentionGeometry?
      if byte() % 2 == 1 {
        let rotary = try RotaryGeometry(
          width: 2 * (byte() % 41), pairing: byte() % 2 == 0 ? .half : .interleaved)
        attention = AttentionGeometry(queryHeads: heads * (1 + byte() % 8), rotary: rotary)
      }
      let geometry = try LayerGeometry(kvHeads: heads, headDim: width, attention: attention)
      var sets: [ChannelSet] = []
      for _ in 0..<heads {
        let (first, step) = (byte() % width, 1 + byte() % 7)
        sets.append(ChannelSet(width: width, channels: stride(from: first, to: width, by: step)))
      }
      layers.append(try LayerMask(geometry: geometry, heads: sets))
    }
    var document = try MaskDocument(mask: try ChannelMask(layers: layers))
    if byte() % 2 == 1 {
      document.alignment = try Alignment(
        unit: 1, rule: .given, targetRatio: byte() % 2 == 0 ? nil : Double(byte()) / 255)
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
        try AttentionWindow(sink: byte(), recent: byte(), accumulate: byte()))
    }
    for _ in 0..<byte() % 4 {
      document.provenance["k\(byte())"] = String(repeating: "v", count: byte())
    }
    return document
  }
}
