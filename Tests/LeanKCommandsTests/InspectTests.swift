import Foundation
import StrictJSON
import TestSupport
import Testing

@Suite("leank inspect and diff")
struct InspectTests {
  private let model = Fixtures.path("Models/leank-tiny")
  private let mask = Fixtures.path("Masks/leank-tiny/windowed_mask_r0.7_align16.npy")
  private let other = Fixtures.path("Masks/leank-tiny/static_pairs_mask_r0.5_align16.npy")

  @Test("JSON has the keys and numbers of the contract")
  func json() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path("mask.leank")
    try leank(
      expecting: 0,
      [
        "import", mask, "--model", model, "--mode", "windowed", "--sink", "4", "--recent", "16",
        "--accumulate", "1", "--output", file,
      ])
    let run = try leank(expecting: 0, ["inspect", file, "--json", "--context", "300"])
    let parsed = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
    let json = try #require(parsed as? [String: Any])
    let keys = [
      "model", "layers", "kv_heads", "head_dim", "channels", "channels_kept", "pruned_ratio",
      "closure_kept_ratio", "heads", "empty_heads", "kept_counts", "alignment", "scores",
      "deployment", "file_bytes", "content_id", "sections", "profile", "cache", "advice",
    ]
    for key in keys { #expect(json[key] != nil, "\(key)") }
    // Counted by numpy: Fixtures/Reports/expected.json.
    let text = try String(decoding: Fixtures.bytes("Reports/expected.json"), as: UTF8.self)
    let expected = try #require(
      try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let numbers = try #require((expected["masks"] as? [[String: Any]])?.last)
    #expect(json["channels_kept"] as? Int == numbers["kept"] as? Int)
    #expect(json["empty_heads"] as? Int == numbers["empty"] as? Int)
    #expect(json["kv_heads"] as? [Int] == [2, 2, 2, 2])
    let cache = try #require(json["cache"] as? [String: Any])
    let context = try #require((cache["contexts"] as? [[String: Any]])?.first)
    let windowed = try #require(context["windowed"] as? [String: Int])
    let entry = try #require(
      (numbers["cache"] as? [[String: Any]])?.first { $0["context"] as? Int == 300 })
    let first = try #require((entry["windowed"] as? [[Int]])?.first)
    #expect([windowed["keys"], windowed["values"]] == [first[0], first[1]])
  }

  @Test("a mask is shown whatever its format, with its checkpoint or without")
  func formats() throws {
    let bare = try leank(expecting: 0, ["inspect", mask])
    #expect(bare.output.contains("query heads and RoPE not recorded"))
    let whole = try leank(expecting: 0, ["inspect", mask, "--model", model])
    #expect(whole.output.contains("4 query heads, half pairs over 64"))
    #expect(whole.output.contains("weights"))
    let layer = try leank(expecting: 0, ["inspect", mask, "--layer", "2", "--head", "1"])
    #expect(layer.output.hasPrefix("layer 2 head 1: keeps "))
    let json = try leank(expecting: 0, ["inspect", mask, "--layer", "2", "--json"])
    #expect(json.output.contains("\"closure\""))
  }

  @Test("pictures and pages are written, also over earlier ones")
  func pictures() throws {
    let directory = try TemporaryDirectory()
    for _ in 0..<2 {
      try leank(
        expecting: 0,
        [
          "inspect", mask, "--heatmap", directory.path("m.svg"), "--report",
          directory.path("m.html"),
        ])
    }
    let svg = try String(contentsOfFile: directory.path("m.svg"), encoding: .utf8)
    #expect(svg.hasSuffix("</svg>\n"))
    let html = try String(contentsOfFile: directory.path("m.html"), encoding: .utf8)
    #expect(html.hasSuffix("</html>\n"))
  }

  @Test("a checkpoint is shown, pruned or not")
  func checkpoints() throws {
    let directory = try TemporaryDirectory()
    let output = directory.path("pruned")
    try leank(
      expecting: 0, ["convert", "--model", model, "--mask", other, "--output", output, "--quiet"])
    let pruned = try leank(expecting: 0, ["inspect", output])
    #expect(pruned.output.contains("pair-closed"))
    let plain = try leank(expecting: 0, ["inspect", model])
    #expect(plain.output.contains("rows        possible"))
    let json = try leank(expecting: 0, ["inspect", model, "--json"])
    // bf16: 4 layers of 2 KV heads of 64 channels.
    #expect(json.output.contains("\"key_cache_bytes_per_token\" : 1024"))
    #expect(
      try leank(expecting: 0, ["inspect", Fixtures.path("Reference/qwen3")]).output
        .contains("rows        no, layer 0 of this qwen3 normalises queries and keys"))
    try leank(expecting: 0, ["diff", other, output])
    try leank(expecting: 3, ["diff", other, model])
  }

  @Test("diff says what differs and exits 1")
  func diff() throws {
    let same = try leank(expecting: 0, ["diff", mask, mask])
    #expect(same.output.hasSuffix("equal\n"))
    let different = try leank(expecting: 1, ["diff", mask, other])
    #expect(different.output.contains("agreement (Jaccard)"))
    let json = try leank(expecting: 1, ["diff", mask, other, "--json"])
    #expect(json.output.contains("\"equal\" : false"))
    let shapes = try leank(
      expecting: 1, ["diff", mask, Fixtures.path("Reference/llama_gqa/mask.npy")])
    #expect(shapes.output.contains("geometry"))
    let mismatch = try leank(
      expecting: 1, ["diff", mask, Fixtures.path("Reference/llama_gqa/mask.npy"), "--json"]
    ).json
    #expect(mismatch["geometry_mismatch"]?.children.contains { _ in true } == true)
    #expect(mismatch["mask"]?.isNull == true)
  }

  @Test(
    "impossible requests are refused",
    arguments: [
      (["--layer", "4"], 2), (["--layer", "0", "--head", "9"], 2), (["--head", "0"], 2),
      (["--context", "0"], 2), (["--context", "1000000001"], 2),
      (["--model", "no-such-directory"], 6), (["--report", "no-such-directory/r.html"], 6),
    ] as [([String], CInt)])
  func refusals(arguments: [String], code: CInt) throws {
    try leank(expecting: code, ["inspect", mask] + arguments)
  }

  @Test("a checkpoint without a mask has no picture")
  func noPicture() throws {
    try leank(expecting: 2, ["inspect", model, "--heatmap", "x.svg"])
    try leank(expecting: 6, ["inspect", "no-such-file.leank"])
  }
}
