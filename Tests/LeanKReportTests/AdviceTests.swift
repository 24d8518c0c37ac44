import LeanKMask
import LeanKReport
import Testing

@Suite("Advice and comparison")
struct AdviceTests {
  private func advice(
    _ document: MaskDocument, _ facts: CheckpointFacts = CheckpointFacts()
  ) -> [Advice.Topic: Advice] {
    let all = Advice.on(ReportSubject(document, title: "m", facts: facts))
    return Dictionary(uniqueKeysWithValues: all.map { ($0.topic, $0) })
  }

  private func attention(_ queryHeads: Int, width: Int) throws -> AttentionGeometry {
    AttentionGeometry(
      queryHeads: queryHeads, rotary: try RotaryGeometry(width: width, pairing: .half))
  }

  @Test("a closed, uniform, aligned mask draws no warning")
  func quiet() throws {
    let geometry = try attention(2, width: 0)
    let document = try MaskDocument(
      mask: mask(counts: [[4, 4], [4, 4]], headDim: 8, attention: geometry),
      alignment: Alignment(unit: 4, rule: .given, targetRatio: 0.5), deployment: .static)
    let found = advice(document)
    #expect(found.values.allSatisfy { $0.severity == .note })
    #expect(Set(found.keys) == [.layoutRows, .layoutCache, .layoutZeroed])
    #expect(found[.layoutRows]?.text.contains("4 in every head") == true)
  }

  @Test("rows are ragged, by layer, or refused by QK-norm")
  func layouts() throws {
    let geometry = try attention(2, width: 0)
    let byLayer = try MaskDocument(
      mask: mask(counts: [[4, 4], [2, 2]], headDim: 8, attention: geometry))
    #expect(advice(byLayer)[.layoutRows]?.text.contains("one width a layer") == true)
    let ragged = try MaskDocument(
      mask: mask(counts: [[4, 2], [2, 2]], headDim: 8, attention: geometry))
    #expect(advice(ragged)[.layoutRows]?.text.contains("1 of 2 layers mix them") == true)
    #expect(advice(ragged)[.uniformWidths]?.numbers["layer_kept_ratio"] == 12.0 / 32)
    #expect(advice(ragged)[.uniformWidths]?.numbers["model_kept_ratio"] == 16.0 / 32)
    var facts = CheckpointFacts()
    facts.hasQueryKeyNorm = true
    let normed = advice(ragged, facts)
    #expect(normed[.queryKeyNorm]?.severity == .warning)
    #expect(normed[.layoutRows] == nil)
    #expect(normed[.layoutZeroed] == nil)
    #expect(normed[.uniformWidths]?.text.contains("rows") == false)
  }

  /// Layers without a K cache of heads say nothing about the mask, and cost nothing.
  @Test("layers without a K cache of heads change no number but that of layers")
  func layersWithoutCache() throws {
    let geometry = AttentionGeometry(
      queryHeads: 2, rotary: try RotaryGeometry(width: 8, pairing: .half), valueDim: 12)
    let cached = try mask(counts: [[4, 2], [8, 0]], headDim: 8, attention: geometry)
    let none = try LayerMask(geometry: .withoutCache, heads: [])
    let hybrid = try ChannelMask(layers: [none, cached.layers[0], none, none, cached.layers[1]])
    let subjects = try [cached, hybrid].map {
      ReportSubject(try MaskDocument(mask: $0), title: "m")
    }
    let statistics = subjects.map(\.profile.statistics)
    #expect(statistics[0].keptRatio == statistics[1].keptRatio)
    #expect(statistics[0].emptyHeads == 1 && statistics[1].emptyHeads == 1)
    #expect(statistics.map(\.layers) == [2, 5] && statistics.map(\.heads) == [4, 4])
    #expect(subjects[0].cost.densePerToken == subjects[1].cost.densePerToken)
    // 4 heads of values of 12 in two bytes, one of them without middle tokens
    #expect(subjects[1].cost.densePerToken == CacheBytes(keys: 4 * 8 * 2, values: 4 * 12 * 2))
    #expect(subjects[1].cost.middlePerToken == CacheBytes(keys: 14 * 2, values: 3 * 12 * 2))
    let (one, other) = (Advice.on(subjects[0]), Advice.on(subjects[1]))
    #expect(one.map(\.text) == other.map(\.text))
    #expect(UniformWidths(of: subjects[0].profile) == UniformWidths(of: subjects[1].profile))
    let lines = SummaryText(subjects[1], usesColor: true).lines
    #expect(lines.contains { $0.contains("layers 0, 2-3: no K cache of heads") })
    #expect(HeadText(subjects[1], layer: 0)?.lines == ["layer 0: no K cache of heads"])
    #expect(HeadText(subjects[1], layer: 0, head: 0) == nil)
    #expect(HTMLReport(subjects[1]).text.contains("no K cache of heads"))
    #expect(HeatmapSVG(subjects[1]).text.contains("<svg"))
  }

  @Test("what only rows and zeroed do is no matter where norms rule them out")
  func normed() throws {
    let document = try MaskDocument(
      mask: mask(counts: [[1, 2]], headDim: 8), deployment: .windowed(.standard))
    #expect(Set(advice(document).keys).isSuperset(of: [.pairClosure, .windowedMask]))
    var facts = CheckpointFacts()
    facts.hasQueryKeyNorm = true
    #expect(Set(advice(document, facts).keys).isDisjoint(with: [.pairClosure, .windowedMask]))
    let text = SummaryText(ReportSubject(document, title: "m", facts: facts)).lines
    #expect(text.contains { $0.hasPrefix("rows        layout rows is ruled out") })
  }

  @Test("what is wrong with a mask is said with its number")
  func warnings() throws {
    let document = try MaskDocument(
      mask: mask(counts: [[1, 2, 3, 5, 6, 0], [0, 0, 0, 0, 0, 0]], headDim: 16),
      alignment: Alignment(unit: 4, rule: .leank, targetRatio: 0.5),
      deployment: .windowed(.standard))
    let found = advice(document)
    #expect(found[.pairClosure]?.numbers["additional_rows"] == 17)
    #expect(found[.alignment]?.numbers["heads"] == 5)
    #expect(found[.alignment]?.text.contains("layer 0 head 0, which keeps 1") == true)
    #expect(found[.countGroups]?.numbers["groups"] == 5)
    #expect(found[.targetRatio]?.numbers["pruned_ratio"] == 175.0 / 192)
    #expect(found[.rotaryAssumed]?.numbers["layers"] == 2)
    #expect(found[.windowedMask]?.severity == .warning)
    #expect(found[.emptyHeads]?.numbers["empty_heads"] == 7)
    #expect(found[.emptyHeads]?.numbers["v_bytes_per_token"] == 224.0)
  }

  @Test("LeanK's runtime is told a block that every kept count is made of")
  func roundTo() throws {
    for (counts, unit) in [
      ([0, 32, 96, 128], 32), ([64, 128], 32), ([16, 48], 16), ([16, 24], 8), ([0, 7, 5], 1),
      ([0, 0], 32),
    ] {
      let document = try MaskDocument(mask: mask(counts: [counts], headDim: 128))
      #expect(advice(document)[.layoutCache]?.numbers["round_to"] == Double(unit), "\(counts)")
    }
  }

  @Test("four counts and empty heads in a layer are within the kernel's limit")
  func groups() throws {
    let document = try MaskDocument(mask: mask(counts: [[0, 1, 2, 3, 4]], headDim: 8))
    #expect(advice(document)[.countGroups] == nil)
  }

  @Test("a mask equals itself, and differs by records but not by provenance")
  func records() throws {
    let bits = try mask(counts: [[2, 3]], headDim: 4)
    let plain = try MaskDocument(mask: bits)
    #expect(MaskComparison(plain, plain).isEqual)
    var other = plain
    other.provenance[Provenance.recipe] = "hand"
    let remark = MaskComparison(plain, other)
    #expect(remark.isEqual)
    #expect(remark.remarks.map(\.name) == [Provenance.recipe])
    other.deployment = .static
    #expect(MaskComparison(plain, other).isEqual)
    other.deployment = .windowed(.standard)
    other.alignment = try Alignment(unit: 1, rule: .given)
    other.scores = try ImportanceScores(kind: "other", values: [Float](repeating: 1, count: 8))
    let changed = MaskComparison(plain, other)
    #expect(!changed.isEqual)
    #expect(changed.records.map(\.name) == ["alignment", "scores", "deployment"])
    #expect(changed.overall.jaccard == 1)
  }

  @Test("shapes that differ are named, and nothing else is compared")
  func geometry() throws {
    let one = try MaskDocument(mask: mask(counts: [[2, 3], [1, 1]], headDim: 4))
    let fewer = try MaskDocument(mask: mask(counts: [[2, 3]], headDim: 4))
    #expect(MaskComparison(one, fewer).geometryMismatch == ["2 layers against 1"])
    let wider = try MaskDocument(mask: mask(counts: [[2, 3], [1, 1]], headDim: 8))
    let comparison = MaskComparison(one, wider)
    #expect(comparison.geometryMismatch.count == 2)
    #expect(comparison.layers.isEmpty)
    let text = ComparisonText(comparison, first: "a", second: "b").lines
    #expect(text.contains { $0.contains("2 KV heads of 4 channels against 2 of 8") })
    let known = try MaskDocument(
      mask: mask(counts: [[2, 3], [1, 1]], headDim: 4, attention: attention(2, width: 4)))
    #expect(MaskComparison(one, known).isEqual)
    let rotated = try MaskDocument(
      mask: mask(counts: [[2, 3], [1, 1]], headDim: 4, attention: attention(2, width: 2)))
    #expect(!MaskComparison(known, rotated).isEqual)
  }

  @Test("empty masks agree wholly")
  func emptyMasks() throws {
    let empty = try MaskDocument(mask: mask(counts: [[0]], headDim: 4))
    #expect(MaskComparison(empty, empty).overall.jaccard == 1)
  }
}
