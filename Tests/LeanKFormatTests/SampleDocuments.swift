import LeanKMask
import TestSupport

/// Masks of every kind that a file can hold.
enum SampleDocuments {
  /// A layer with known attention; width 0 is a layer without RoPE.
  static func layer(
    _ kvHeads: Int, _ headDim: Int, group: Int = 2, rotary: Int, _ pairing: RotaryPairing = .half,
    value: Int? = nil
  ) throws -> LayerGeometry {
    try LayerGeometry(
      kvHeads: kvHeads, headDim: headDim,
      attention: AttentionGeometry(
        queryHeads: kvHeads * group, rotary: RotaryGeometry(width: rotary, pairing: pairing),
        valueDim: value))
  }

  static func mask(
    _ layers: [LayerGeometry], density: Double = 0.4, using random: inout SeededGenerator
  ) throws -> ChannelMask {
    try ChannelMask(
      layers: layers.map { geometry in
        let heads = (0..<geometry.kvHeads).map { _ in
          ChannelSet(
            width: geometry.headDim,
            channels: (0..<geometry.headDim).filter { _ in
              Double.random(in: 0..<1, using: &random) < density
            })
        }
        return try LayerMask(geometry: geometry, heads: heads)
      })
  }

  static func scores(
    _ scalar: ImportanceScores.Scalar, count: Int, using random: inout SeededGenerator
  ) throws -> ImportanceScores {
    let one: UInt32 =
      switch scalar {
      case .f32: 0x3F80_0000
      case .f16: 0x3C00
      case .bf16: 0x3F80
      }
    return try ImportanceScores(
      kind: ImportanceScores.alphaKind, scalar: scalar,
      bits: (0..<count).map { _ in UInt32.random(in: 0...one, using: &random) })
  }

  static let geometries: [@Sendable () throws -> [LayerGeometry]] = [
    { [try LayerGeometry(kvHeads: 1, headDim: 1)] },
    { [try LayerGeometry(kvHeads: 2, headDim: 7), try LayerGeometry(kvHeads: 1, headDim: 16)] },
    { [try layer(2, 8, rotary: 8), try layer(2, 8, rotary: 8)] },
    { [try layer(3, 10, rotary: 4), try layer(1, 6, rotary: 0), try layer(2, 5, rotary: 4)] },
    { [try layer(2, 16, rotary: 8, .interleaved), try layer(2, 16, rotary: 0)] },
    { try (0..<6).map { _ in try layer(2, 32, group: 4, rotary: 32) } },
    { [try layer(1, 128, rotary: 128)] },
    { [.withoutCache, try layer(2, 12, rotary: 8, value: 16), .withoutCache] },
    { [try LayerGeometry(kvHeads: 2, headDim: 6), .withoutCache] },
  ]

  /// Twenty documents that differ in geometry and in the sections they have.
  static func all(seed: UInt64) throws -> [MaskDocument] {
    var random = SeededGenerator(seed: seed)
    var documents: [MaskDocument] = []
    for index in 0..<20 {
      let geometry = try geometries[index % geometries.count]()
      let densities = [0.4, 0.0, 1.0]
      let mask = try mask(geometry, density: densities[index % 3], using: &random)
      let bits = index &* 7
      var document = try MaskDocument(mask: mask)
      if bits & 1 != 0 {
        document.alignment = try Alignment(
          unit: index % 3 == 0 ? 4 : 1, rule: Alignment.Rule.allCases[index % 3],
          targetRatio: index % 2 == 0 ? nil : 0.7)
      }
      if bits & 2 != 0, mask.channels <= 64 {
        document.scores = try scores(
          ImportanceScores.Scalar.allCases[index % 3], count: mask.channels, using: &random)
      }
      if bits & 4 != 0 {
        document.deployment =
          index % 2 == 0
          ? .static
          : .windowed(
            try AttentionWindow(
              sink: index, recent: 768, accumulate: 128,
              prefill: index % 4 == 1 ? .windowed : .dense,
              emptyHeads: index % 8 < 4 ? .zero : .absent))
      }
      if bits & 8 != 0 {
        document.provenance = Provenance([
          Provenance.model: "example/model-\(index)", Provenance.recipe: "é\u{0}\n",
        ])
      }
      documents.append(document)
    }
    return documents
  }

  /// Four masks of one geometry: the first with scores and provenance, which the second shares, one
  /// with its own, and one that differs in its deployment only.
  static func instances(seed: UInt64, geometry: Int) throws -> [MaskDocument] {
    var random = SeededGenerator(seed: seed)
    let layers = try geometries[geometry]()
    let mask = try mask(layers, using: &random)
    var main = try MaskDocument(
      mask: mask, scores: scores(.bf16, count: mask.channels, using: &random),
      deployment: .windowed(.standard), provenance: Provenance(["model": "a/b"]))
    main.alignment = try Alignment(unit: 1, rule: .leank, targetRatio: 0.3)
    var second = main
    second.mask = try self.mask(layers, density: 0.8, using: &random)
    second.alignment = nil
    var third = main
    third.mask = try self.mask(layers, density: 0.1, using: &random)
    third.scores = try scores(.f32, count: mask.channels, using: &random)
    third.provenance = Provenance(["recipe": "another"])
    var fourth = second
    fourth.deployment = .static
    return [main, second, third, fourth]
  }
}
