import Foundation
import LeanKDecoder
import LeanKMask
import LeanKReport

/// What `bench` measured; the property names are the keys of `--json`.
struct BenchReport: Encodable {
  struct Result: Encodable {
    var context: Int
    var mode: String
    var denseMs: Double
    var prunedMs: Double
    var speedup: Double
    var denseGbS: Double
    var prunedGbS: Double
    var denseBytes: Int
    var prunedBytes: Int
  }

  var memoryBandwidthGbS: Double
  var results: [Result]

  init(bandwidth: Double, results: [BenchmarkResult]) {
    memoryBandwidthGbS = bandwidth
    self.results = results.map {
      Result(
        context: $0.context, mode: $0.mode.rawValue, denseMs: $0.denseSeconds * 1000,
        prunedMs: $0.prunedSeconds * 1000, speedup: $0.speedup, denseGbS: $0.denseRate,
        prunedGbS: $0.prunedRate, denseBytes: $0.denseBytes, prunedBytes: $0.prunedBytes)
    }
  }
}

/// The table that `bench` prints for people.
struct BenchText {
  let mask: ChannelMask
  let options: BenchmarkOptions
  let bandwidth: Double
  let results: [BenchmarkResult]

  var lines: [String] {
    let window = options.window
    let heads = Set(mask.layers.map { options.queryHeads(of: $0.geometry) }).sorted()
    let headers = ["tokens", "mode", "dense ms", "pruned ms", "speed-up"]
    return [
      Formatting.row(
        "attention",
        "one token through \(mask.layers.count) layers, "
          + "\(heads.map { String($0) }.joined(separator: " or ")) query heads, "
          + "\(options.element.rawValue) cache"),
      Formatting.row(
        "window",
        "sink \(window.sink), recent \(window.recent), accumulate \(window.accumulate)"),
      Formatting.row(
        "memory",
        "\(number(bandwidth, 1)) GB/s to \(options.threads) threads; each figure is the best of several"
      ),
      "",
      columns(headers + ["dense read", "GB/s", "pruned read", "GB/s"]),
    ]
      + results.map { result in
        columns([
          Formatting.count(result.context), result.mode.rawValue,
          number(result.denseSeconds * 1000, 2), number(result.prunedSeconds * 1000, 2),
          number(result.speedup, 2) + " x", Formatting.bytes(result.denseBytes),
          number(result.denseRate, 1), Formatting.bytes(result.prunedBytes),
          number(result.prunedRate, 1),
        ])
      }
  }

  private func number(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  private func columns(_ cells: [String]) -> String {
    zip(cells, [8, 10, 11, 11, 10, 12, 7, 13, 7])
      .map { String(repeating: " ", count: max(0, $1 - $0.count)) + $0 }.joined()
  }
}
