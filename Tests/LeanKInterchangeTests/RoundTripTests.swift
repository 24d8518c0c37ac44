import ByteIO
import LeanKInterchange
import LeanKMask
import TestSupport
import Testing

struct RoundTripTests {
  /// A random document; ragged ones differ in heads and head_dim from layer to layer.
  private static func document(
    seed: UInt64, isRagged: Bool, scalar: ImportanceScores.Scalar?, kind: String,
    knowsAttention: Bool = false
  ) throws -> MaskDocument {
    var generator = SeededGenerator(seed: seed)
    var layers: [LayerMask] = []
    for index in 0..<1 + Int(generator.next() % 4) {
      let heads = isRagged ? 1 + index : 2
      let width = isRagged ? 4 + 2 * index : 8
      let rotary = try RotaryGeometry(
        width: 4, pairing: generator.next() % 2 == 0 ? .half : .interleaved)
      let geometry = try LayerGeometry(
        kvHeads: heads, headDim: width,
        attention: knowsAttention ? AttentionGeometry(queryHeads: 4 * heads, rotary: rotary) : nil)
      let sets = (0..<heads).map { _ in
        ChannelSet(width: width, channels: (0..<width).filter { _ in generator.next() % 3 == 0 })
      }
      layers.append(try LayerMask(geometry: geometry, heads: sets))
    }
    let mask = try ChannelMask(layers: layers)
    let scores = try scalar.map { scalar in
      let isAlpha = kind == ImportanceScores.alphaKind
      let bits = (0..<mask.channels).map { _ in pattern(&generator, scalar, isAlpha: isAlpha) }
      return try ImportanceScores(kind: kind, scalar: scalar, bits: bits)
    }
    return try MaskDocument(mask: mask, scores: scores)
  }

  /// A finite pattern with random exponent and fraction, in 0...1 for alphas.
  private static func pattern(
    _ generator: inout SeededGenerator, _ scalar: ImportanceScores.Scalar, isAlpha: Bool
  ) -> UInt32 {
    let word = UInt32(truncatingIfNeeded: generator.next())
    switch (scalar, isAlpha) {
    case (.f32, true): return word % 0x3F80_0001
    case (.f32, false): return word & 0x8000_0000 | (word & 0x7FFF_FFFF) % 0x7F80_0000
    case (.f16, true): return word % 0x3C01
    case (.f16, false): return word & 0x8000 | (word & 0x7FFF) % 0x7C00
    case (.bf16, true): return word % 0x3F81
    case (.bf16, false): return word & 0x8000 | (word & 0x7FFF) % 0x7F80
    }
  }

  private static func roundTrip(
    _ document: MaskDocument, _ part: MaskExporter.Part, _ format: InterchangeFormat,
    geometry: [LayerGeometry]? = nil
  ) throws -> ImportedMask {
    let file = try MaskExporter.bytes(of: document, part, as: format)
    return try MaskImporter.read(file.span, as: format, geometry: geometry)
  }

  /// Layers without a K cache of heads, the last one too, and values of another width.
  @Test(arguments: [InterchangeFormat.safetensors, .npz, .json])
  func layersWithoutCache(format: InterchangeFormat) throws {
    let rotary = try RotaryGeometry(width: 4, pairing: .half)
    let layer = try LayerGeometry(
      kvHeads: 2, headDim: 6,
      attention: AttentionGeometry(queryHeads: 4, rotary: rotary, valueDim: 8))
    let head = ChannelSet(width: 6, channels: [1, 5])
    let cached = try LayerMask(geometry: layer, heads: [head, ChannelSet(width: 6)])
    let none = try LayerMask(geometry: .withoutCache, heads: [])
    let mask = try ChannelMask(layers: [none, cached, none, cached, none])
    let scores = try ImportanceScores(kind: "importance", values: (0..<24).map { Float($0) })
    let document = try MaskDocument(mask: mask, scores: scores)
    let again = try Self.roundTrip(document, .both, format)
    let shapes = again.layers.map { [$0.kvHeads, $0.headDim] }
    #expect(shapes == [[0, 0], [2, 6], [0, 0], [2, 6], [0, 0]])
    #expect(try again.mask?.adopting(mask.layers.map(\.geometry)) == mask)
    #expect(again.scores == scores && again.notes.isEmpty)
    if format == .json { #expect(again.mask == mask) }
    let model = mask.layers.map(\.geometry)
    #expect(try Self.roundTrip(document, .mask, format, geometry: model).mask == mask)
  }

  @Test(arguments: [InterchangeFormat.npy, .pth, .tsv])
  func oneArrayCannotHoldThem(format: InterchangeFormat) throws {
    let layer = try LayerMask(
      geometry: LayerGeometry(kvHeads: 1, headDim: 2), heads: [ChannelSet(width: 2)])
    let none = try LayerMask(geometry: .withoutCache, heads: [])
    let document = try MaskDocument(mask: ChannelMask(layers: [layer, none]))
    #expect(throws: InterchangeError(.unwritable, "")) {
      try MaskExporter.bytes(of: document, .mask, as: format)
    }
  }

  @Test(arguments: InterchangeFormat.allCases) func masks(format: InterchangeFormat) throws {
    for seed in UInt64(0)..<20 {
      let document = try Self.document(seed: seed, isRagged: false, scalar: nil, kind: "")
      let layers = document.mask.layers.map(\.geometry)
      let imported = try Self.roundTrip(
        document, .mask, format, geometry: format == .tsv ? layers : nil)
      #expect(imported.mask == document.mask, "seed \(seed)")
      #expect(imported.scores == nil && imported.notes.isEmpty, "seed \(seed)")
    }
  }

  @Test(
    arguments: [InterchangeFormat.safetensors, .npz, .npy, .pth, .json],
    ImportanceScores.Scalar.allCases)
  func scores(format: InterchangeFormat, scalar: ImportanceScores.Scalar) throws {
    guard scalar != .bf16 || (format != .npz && format != .npy) else { return }
    for seed in UInt64(0)..<20 {
      for kind in [ImportanceScores.alphaKind, "importance"] {
        let document = try Self.document(
          seed: seed, isRagged: false, scalar: scalar, kind: kind)
        let imported = try Self.roundTrip(document, .scores, format)
        #expect(imported.scores == document.scores, "seed \(seed)")
        #expect(imported.mask == nil && imported.notes.isEmpty, "seed \(seed)")
      }
    }
  }

  @Test func tablesOfAlphas() throws {
    for seed in UInt64(0)..<20 {
      let document = try Self.document(
        seed: seed, isRagged: false, scalar: .f32, kind: ImportanceScores.alphaKind)
      let imported = try Self.roundTrip(
        document, .scores, .tsv, geometry: document.mask.layers.map(\.geometry))
      #expect(imported.scores == document.scores, "seed \(seed)")
      #expect(imported.notes.isEmpty)
    }
  }

  @Test(arguments: [InterchangeFormat.safetensors, .npz, .json], [false, true])
  func bothTogether(format: InterchangeFormat, isRagged: Bool) throws {
    for seed in UInt64(0)..<20 {
      let document = try Self.document(
        seed: seed, isRagged: isRagged, scalar: .f16, kind: ImportanceScores.alphaKind)
      let imported = try Self.roundTrip(document, .both, format)
      #expect(imported.mask == document.mask, "seed \(seed)")
      #expect(imported.scores == document.scores, "seed \(seed)")
    }
  }

  @Test(arguments: [InterchangeFormat.safetensors, .json])
  func anyKindIsKept(format: InterchangeFormat) throws {
    let document = try Self.document(
      seed: 3, isRagged: true, scalar: .bf16, kind: "activation-\"norm\"")
    let imported = try Self.roundTrip(document, .both, format)
    #expect(imported.scores == document.scores)
  }

  @Test func jsonKeepsTheAttention() throws {
    let document = try Self.document(
      seed: 4, isRagged: true, scalar: .f32, kind: "importance", knowsAttention: true)
    let imported = try Self.roundTrip(document, .both, .json)
    #expect(imported.mask == document.mask)
    #expect(imported.layers == document.mask.layers.map(\.geometry))
    let adopted = try Self.roundTrip(
      document, .both, .json, geometry: document.mask.layers.map(\.geometry))
    #expect(adopted == imported)
  }

  // MARK: - What a format cannot hold

  @Test func refusals() throws {
    let unwritable = InterchangeError(.unwritable, "")
    let plain = try Self.document(seed: 1, isRagged: false, scalar: nil, kind: "")
    let ragged = try Self.document(seed: 2, isRagged: true, scalar: .f32, kind: "importance")
    try #require(ragged.mask.layers.count > 1)
    #expect(throws: unwritable) { try MaskExporter.bytes(of: plain, .scores, as: .npz) }
    #expect(throws: unwritable) { try MaskExporter.bytes(of: plain, .both, as: .json) }
    for format in [InterchangeFormat.npy, .pth, .tsv] {
      #expect(throws: unwritable) { try MaskExporter.bytes(of: ragged, .mask, as: format) }
      #expect(throws: unwritable) { try MaskExporter.bytes(of: ragged, .both, as: format) }
    }
    let other = try Self.document(seed: 2, isRagged: false, scalar: .f32, kind: "importance")
    #expect(throws: unwritable) { try MaskExporter.bytes(of: other, .scores, as: .tsv) }
    let half = try Self.document(
      seed: 2, isRagged: false, scalar: .f16, kind: ImportanceScores.alphaKind)
    #expect(throws: unwritable) { try MaskExporter.bytes(of: half, .scores, as: .tsv) }
    let brain = try Self.document(
      seed: 2, isRagged: false, scalar: .bf16, kind: ImportanceScores.alphaKind)
    for format in [InterchangeFormat.npy, .npz] {
      do {
        _ = try MaskExporter.bytes(of: brain, .scores, as: format)
        Issue.record("numpy has no bfloat16")
      } catch {
        #expect(error.code.rawValue == "tensor_file.unwritable")
      }
    }
    let infinite = try MaskDocument(
      mask: plain.mask,
      scores: try ImportanceScores(
        kind: "importance", values: [Float](repeating: .infinity, count: plain.mask.channels)))
    #expect(throws: unwritable) { try MaskExporter.bytes(of: infinite, .scores, as: .json) }
  }
}
