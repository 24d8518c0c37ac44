import StrictJSON
import TestSupport
import Testing

@Suite struct BenchTests {
  static let mask = Fixtures.path("Masks/leank-tiny/windowed_mask_r0.5_align16.npy")

  @Test func measuresEveryContextInBothModes() throws {
    let run = try leank(
      expecting: 0,
      ["bench", "--mask", Self.mask, "--context", "40", "1000", "--threads", "2", "--json"])
    let report = try run.json
    #expect(try #require(report["memory_bandwidth_gb_s"]?.double) > 0)
    let results = try #require(report["results"]).children.map(\.value)
    #expect(results.map { $0["context"]?.integer } == [40, 40, 1000, 1000])
    #expect(
      results.map { $0["mode"]?.string } == ["windowed", "static", "windowed", "static"])
    for key in ["dense_ms", "pruned_ms", "speedup", "dense_gb_s", "pruned_gb_s"] {
      for result in results { #expect(try #require(result[key]?.double) > 0) }
    }
  }

  @Test func printsATable() throws {
    let run = try leank(
      expecting: 0,
      ["bench", "--mask", Self.mask, "--context", "1234", "--cache", "bf16", "--threads", "1"])
    #expect(run.output.contains("1,234  windowed"))
    #expect(run.output.contains("bf16 cache"))
  }

  static let refusals: [(options: [String], code: CInt)] = [
    (["--context", "0"], 2), (["--threads", "0"], 2), (["--cache", "f64"], 2),
    (["--query-heads", "7"], 2), (["--context", "9000000000000000000"], 5),
    (["--context", "100000000000"], 5),
  ]

  @Test(arguments: refusals)
  func refuses(options: [String], code: CInt) throws {
    try leank(expecting: code, ["bench", "--mask", Self.mask] + options)
  }
}
