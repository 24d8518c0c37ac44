import Foundation
import LeanKInterchange
import LeanKMask
import TestSupport
import Testing

/// What numpy says of the bundled masks (Fixtures/Generators/make_report_expectations.py).
struct Expected: Decodable {
  struct Cache: Decodable {
    var context: Int
    var dense: Int
    var static_keys: Int
    /// Bytes of K and V for each window.
    var windowed: [[Int]]
  }

  struct Mask: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var channels: Int
    var kept: Int
    var closure_kept: Int
    var counts: [[Int]]
    var closure_counts: [[Int]]
    var channel_heads: [[Int]]
    var frequencies: [Int]
    var quarters: [Double]
    var empty: Int
    var narrow: Int
    var wide: Int
    var full: Int
    var layer_uniform: Int
    var layer_closure_uniform: Int
    var model_uniform: Int
    var cache: [Cache]
    var cache_sliding: [Cache]

    var testDescription: String { name }
  }

  struct Scores: Decodable {
    var minimum: Double
    var maximum: Double
    var threshold: Double
    var kept_below: Int
    var pruned_above: Int
    var kept: [Int]
    var pruned: [Int]
  }

  struct Overlap: Decodable {
    var overall: [Int]
    var layers: [[Int]]
    var frequencies: [[Int]]
    var heads: [[Int]]
  }

  var masks: [Mask]
  var windows: [[Int]]
  var sliding: [Int?]
  var scores: Scores
  var agreement: Overlap

  static func read() throws -> Expected {
    try JSONDecoder().decode(
      Expected.self, from: Data(Fixtures.bytes("Reports/expected.json")))
  }
}

/// A bundled mask of leank-tiny.
func tinyMask(_ name: String) throws -> ChannelMask {
  let bytes = try Fixtures.bytes("Masks/leank-tiny/\(name).npy")
  return try #require(try MaskImporter.read(bytes.span, as: .npy).mask)
}

/// The alphas behind the windowed masks of leank-tiny.
func tinyScores(for mask: ChannelMask) throws -> ImportanceScores {
  let bytes = try Fixtures.bytes("Masks/leank-tiny/windowed_alpha_r0.7.tsv")
  let imported = try MaskImporter.read(
    bytes.span, as: .tsv, geometry: mask.layers.map(\.geometry))
  return try #require(imported.scores)
}

/// A mask of one layer for each array: the kept counts of its heads, taken from channel 0 on.
func mask(
  counts: [[Int]], headDim: Int, attention: AttentionGeometry? = nil
) throws -> ChannelMask {
  try ChannelMask(
    layers: counts.map { heads throws(MaskError) in
      try LayerMask(
        geometry: LayerGeometry(kvHeads: heads.count, headDim: headDim, attention: attention),
        heads: heads.map { ChannelSet(width: headDim, channels: 0..<$0) })
    })
}
