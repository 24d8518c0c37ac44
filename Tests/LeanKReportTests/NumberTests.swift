import Foundation
import LeanKMask
import LeanKReport
import Testing

@Suite("Numbers of a report")
struct NumberTests {
  @Test("a profile is what numpy counts", arguments: try Expected.read().masks)
  func profile(expected: Expected.Mask) throws {
    let profile = MaskProfile(of: try tinyMask(expected.name))
    #expect(profile.statistics.channels == expected.channels)
    #expect(profile.statistics.channelsKept == expected.kept)
    #expect(profile.statistics.closureKept == expected.closure_kept)
    #expect(profile.layers.map(\.counts) == expected.counts)
    #expect(profile.layers.map(\.closureCounts) == expected.closure_counts)
    #expect(profile.layers.map(\.channelHeads) == expected.channel_heads)
    #expect(profile.frequencies.map { $0.shares.map(\.kept) } == [expected.frequencies])
    for (share, number) in zip(profile.quarters, expected.quarters) {
      #expect(abs(share.ratio - number) < 1e-12)
    }
    #expect(profile.unrotated == KeptShare())
    let classes = profile.headClasses
    #expect(classes.empty == expected.empty)
    #expect(classes.narrow == expected.narrow)
    #expect(classes.wide == expected.wide)
    #expect(classes.full == expected.full)
    let uniform = UniformWidths(of: profile)
    #expect(uniform.layerKept == expected.layer_uniform)
    #expect(uniform.layerClosureKept == expected.layer_closure_uniform)
    #expect(uniform.modelKept == expected.model_uniform)
  }

  @Test(
    "time left reads as a clock",
    arguments: [
      (-1, "0:00"), (0, "0:00"), (0.2, "0:01"), (59, "0:59"), (59.5, "1:00"), (3599, "59:59"),
      (3600, "1:00:00"), (36_000.1, "10:00:01"), (.infinity, "277777:46:40"),
    ] as [(Double, String)])
  func clock(seconds: Double, text: String) {
    #expect(Formatting.clock(seconds: seconds) == text)
  }

  @Test(
    "a cache costs what counting keys one by one gives", arguments: try Expected.read().masks,
    [false, true])
  func cache(expected: Expected.Mask, isSliding: Bool) throws {
    let all = try Expected.read()
    let cost = CacheCost(
      of: try tinyMask(expected.name), slidingWindows: isSliding ? all.sliding : [])
    for entry in isSliding ? expected.cache_sliding : expected.cache {
      let dense = cost.dense(context: entry.context)
      #expect(dense == CacheBytes(keys: entry.dense, values: entry.dense))
      #expect(
        cost.static(context: entry.context)
          == CacheBytes(keys: entry.static_keys, values: entry.dense))
      for (window, bytes) in zip(all.windows, entry.windowed) {
        let window = try AttentionWindow(
          sink: window[0], recent: window[1], accumulate: window[2])
        #expect(
          cost.windowed(context: entry.context, window: window)
            == CacheBytes(keys: bytes[0], values: bytes[1]),
          "\(entry.context) tokens, \(window)")
      }
    }
  }

  @Test("scores are binned and cut as numpy does")
  func scores() throws {
    let expected = try Expected.read().scores
    let mask = try tinyMask("windowed_mask_r0.7_align16")
    let document = try MaskDocument(mask: mask, scores: try tinyScores(for: mask))
    let found = try #require(ScoreDistribution(of: document))
    #expect(found.minimum == expected.minimum)
    #expect(found.maximum == expected.maximum)
    #expect(abs(found.threshold - expected.threshold) < 1e-12)
    #expect(found.keptBelow == expected.kept_below)
    #expect(found.prunedAbove == expected.pruned_above)
    #expect(found.bins.map(\.kept) == expected.kept)
    #expect(found.bins.map(\.pruned) == expected.pruned)
  }

  /// Bounds and counts by numpy: histogram with bins [0] + [lo * (hi / lo) ** (i / 8)] + [hi].
  @Test("skewed scores are binned by equal factors")
  func skewedScores() throws {
    var values: [Float] = [0, 0, 1e-6]
    for step in 0...60 { values.append(Float(pow(10, -5 + 4 * Double(step) / 60))) }
    values += [1, 50]
    let mask = try mask(counts: [[values.count]], headDim: values.count)
    let document = try MaskDocument(
      mask: mask, scores: ImportanceScores(kind: "curvature", values: values))
    let found = try #require(ScoreDistribution(of: document, binCount: 8))
    #expect(found.axis == .logarithmic)
    #expect(found.bins.map(\.kept) == [3, 14, 15, 14, 15, 3, 1, 1])
    let bounds = [
      0.0, 9.1700404117886e-06, 8.4089641366142e-05, 0.0007711054114871867, 0.00707106780293911,
      0.06484197767115914, 0.5946035571260531, 5.452538661605496, 50.0,
    ]
    for (bin, (lower, upper)) in zip(found.bins, zip(bounds, bounds.dropFirst())) {
      #expect(abs(bin.lower - lower) <= 1e-12 * lower)
      #expect(abs(bin.upper - upper) <= 1e-12 * upper)
    }
    // The same numbers about 0 are not skewed, only wide.
    let signed = try MaskDocument(
      mask: mask,
      scores: ImportanceScores(
        kind: "other", values: [-1] + values.dropFirst()))
    #expect(ScoreDistribution(of: signed)?.axis == .linear)
  }

  @Test("infinite and equal scores are counted, not divided by")
  func oddScores() throws {
    let mask = try mask(counts: [[1]], headDim: 2)
    let infinite = try MaskDocument(
      mask: mask, scores: ImportanceScores(kind: "other", values: [.infinity, 3]))
    let found = try #require(ScoreDistribution(of: infinite))
    #expect(found.infinite == 1)
    #expect(found.threshold == 3)
    #expect(found.bins.reduce(0) { $0 + $1.kept + $1.pruned } == 1)
    let nothing = try MaskDocument(
      mask: mask, scores: ImportanceScores(kind: "other", values: [.infinity, -.infinity]))
    #expect(ScoreDistribution(of: nothing) == nil)
  }

  @Test("agreement is what numpy counts")
  func agreement() throws {
    let expected = try Expected.read().agreement
    let names = try Expected.read().masks.map(\.name)
    let comparison = MaskComparison(
      try MaskDocument(mask: try tinyMask(names[0])), try MaskDocument(mask: try tinyMask(names[1]))
    )
    func numbers(_ agreement: Agreement) -> [Int] {
      [agreement.both, agreement.onlyFirst, agreement.onlySecond]
    }
    #expect(numbers(comparison.overall) == expected.overall)
    #expect(comparison.layers.map(numbers) == expected.layers)
    #expect(comparison.frequencies.map(numbers) == expected.frequencies)
    for quarter in 0..<4 {
      // 32 frequencies: 8 a quarter.
      let parts = expected.frequencies[8 * quarter..<8 * quarter + 8]
      #expect(
        numbers(comparison.quarters[quarter])
          == (0..<3).map { i in parts.map { $0[i] }.reduce(0, +) })
    }
    #expect(comparison.heads.map { [$0.layer, $0.head] } == expected.heads)
    #expect(!comparison.isEqual)
  }

  @Test(
    "numbers are written as printf writes them",
    arguments: [
      0, 0.5, -0.25, 1, 9.99, 0.5422, 9.9996, 99_995, 65_504, 5.9604645e-8, 12.6, 99.96, 0.000123,
      1.2e-5, 3e-9, 123456, 0.0999, -7.7e8,
    ])
  func formatting(value: Double) {
    #expect(Formatting.scientific(value) == String(format: "%.2g", value))
    #expect(Formatting.scientific(value, digits: 4) == String(format: "%.4g", value))
    #expect(Formatting.fixed(value, digits: 3) == String(format: "%.3f", value))
  }

  @Test("sizes, counts and pictures in text")
  func text() {
    #expect(Formatting.bytes(999) == "999 B")
    #expect(Formatting.bytes(1000) == "1.00 KB")
    #expect(Formatting.bytes(999_499) == "999.5 KB")
    #expect(Formatting.bytes(17_179_869_184) == "17.2 GB")
    #expect(Formatting.bytes(9_200_000_000_000_000) == "9200.0 TB")
    #expect(Formatting.count(-1_016_960) == "-1,016,960")
    #expect(Formatting.bar(0.5, width: 4) == "██  ")
    #expect(Formatting.sparkline([0, 0.01, 0.5, 1]) == "·▁▅█")
    #expect(Formatting.sparkline([0, 0, 0.5, 1, 1], limit: 3) == "·▇█")
    #expect(Formatting.sparkline([0, 0, 0.5], limit: 3) == "··▅")
    #expect(Formatting.sparkline([]).isEmpty)
    #expect(Formatting.wrapped("one two three", width: 7) == ["one two", "three"])
    #expect(Formatting.fixed(.infinity, digits: 2) == "inf")
  }
}
