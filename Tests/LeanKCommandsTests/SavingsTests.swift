import Foundation
import LeanKCheckpoint
import LeanKCommands
import LeanKMask
import LeanKModel
import LeanKReport
import StrictJSON
import TestSupport
import Testing

/// Every place that says what a mask saves of the K/V cache says the same, and says what counting the
/// cached numbers one by one gives.
@Suite("Savings") struct SavingsTests {
  private static let window = (sink: 4, recent: 8, accumulate: 4)
  private static let windowed = [
    "--mode", "windowed", "--sink", "\(window.sink)", "--recent", "\(window.recent)",
    "--accumulate", "\(window.accumulate)",
  ]
  private static let tokens = 48

  struct Case: Sendable, CustomTestStringConvertible {
    var model: String
    var layout: PruningLayout
    var isWindowed: Bool

    var testDescription: String { "\(model), \(layout), \(isWindowed ? "windowed" : "static")" }
  }

  static let cases = ["llama_gqa", "llama_mixed", "qwen3", "mistral_swa"].flatMap { model in
    PruningLayout.allCases.flatMap { layout in
      [false, true].compactMap { isWindowed in
        (layout == .cache || !isWindowed) && (layout == .cache || model != "qwen3")
          ? Case(model: model, layout: layout, isWindowed: isWindowed) : nil
      }
    }
  }

  /// Bytes of K and V of `tokens` tokens, counted key by key.
  private static func counted(
    _ mask: ChannelMask, _ model: ModelDescription, _ test: Case, elementBytes: Int, isDense: Bool
  ) -> (keys: Int, values: Int) {
    var (keys, values) = (0, 0)
    for (layer, masked) in zip(model.layers, mask.layers) {
      let last = tokens - 1
      let first = max(0, tokens - (layer.attention.slidingWindow ?? tokens))
      for head in masked.heads {
        for key in first..<tokens {
          let isNear =
            key < window.sink || key > last - window.recent - (window.accumulate - 1)
          let isWhole = isDense || test.layout == .zeroed || (test.isWindowed && isNear)
          keys += isWhole ? head.width : head.count
          values += !isDense && test.isWindowed && !isNear && head.isEmpty ? 0 : head.width
        }
      }
    }
    return (keys * elementBytes, values * elementBytes)
  }

  @Test(arguments: cases) func oneNumberEverywhere(_ test: Case) throws {
    let folder = try TemporaryDirectory()
    let dense = try copyModel(test.model, to: folder)
    let out = folder.path("out")
    let convert =
      [
        "convert", "--model", dense, "--mask",
        Fixtures.path("Reference/\(test.model)/mask.safetensors"), "--output", out, "--layout",
        test.layout.rawValue, "--context", "\(Self.tokens)",
      ] + (test.isWindowed ? Self.windowed : ["--mode", "static"])
    let planned = try leank(expecting: 0, convert + ["--dry-run"]).output
    let json = try leank(expecting: 0, convert + ["--json"]).json

    let checkpoint = try CheckpointDirectory(path: dense)
    let model = try checkpoint.describe().description
    let document = try MaskFile.document(out + "/mask.leank")
    let elementBytes = checkpoint.cacheElementBytes(of: model)
    func counted(isDense: Bool) -> (keys: Int, values: Int) {
      Self.counted(
        document.mask, model, test, elementBytes: elementBytes, isDense: isDense)
    }
    let whole = counted(isDense: true)
    let used = counted(isDense: false)
    let saves = used.keys + used.values < whole.keys + whole.values
    #expect(saves == (test.layout != .zeroed))

    // convert
    let context = try #require(json["contexts"]?.children.map(\.value).first)
    for (side, bytes) in [("dense", whole), ("pruned", used)] {
      #expect(context[side]?["keys"]?.integer == bytes.keys)
      #expect(context[side]?["values"]?.integer == bytes.values)
    }
    let token = try #require(json["cache_bytes_per_token"])
    let channels = document.mask.channels * elementBytes
    let kept = test.layout == .zeroed ? channels : document.mask.keptCount * elementBytes
    #expect(token["keys_dense"]?.integer == channels)
    #expect(token["keys_pruned"]?.integer == kept)
    let line = try #require(planned.split(separator: "\n").first { $0.hasPrefix("K cache") })
    #expect(line.contains("less") == saves)
    #expect(line.contains(Formatting.bytes(channels)))
    #expect(!saves || line.contains(Formatting.bytes(kept)))

    // LEANK.md
    let card = try String(contentsOfFile: out + "/LEANK.md", encoding: .utf8)
    let row = try #require(card.split(separator: "\n").first { $0.hasPrefix("| K cache") })
    #expect(
      row.hasPrefix(
        saves
          ? "| K cache | \(Formatting.count(channels)) -> \(Formatting.count(kept)) bytes a token"
          : "| K cache | \(Formatting.count(channels)) bytes a token, as in the dense checkpoint"))

    // inspect, its page and its JSON
    let context48 = ["--context", "\(Self.tokens)"]
    let page = folder.path("page.html")
    let shown = try leank(expecting: 0, ["inspect", out, "--report", page] + context48).output
    let inspected = try leank(expecting: 0, ["inspect", out, "--json"] + context48).json
    let cache = try #require(inspected["cache"])
    #expect(cache["element_bytes"]?.integer == elementBytes)
    #expect(cache["per_token"]?["dense"]?["keys"]?.integer == channels)
    #expect(cache["per_token"]?["static"]?["keys"]?.integer == kept)
    let mode = test.isWindowed ? "windowed" : "static"
    let found = try #require(cache["contexts"]?.children.map(\.value).first)
    #expect(found[mode]?["keys"]?.integer == used.keys)
    #expect(found[mode]?["values"]?.integer == used.values)
    #expect(found["dense"]?["total"]?.integer == whole.keys + whole.values)
    if test.layout != .cache {
      #expect(found["windowed"]?["total"]?.integer == used.keys + used.values)
    }
    let total = Formatting.bytes(used.keys + used.values)
    #expect(shown.contains(saves ? "\(mode) \(total)" : "saves nothing"))
    #expect(shown.contains("windowed \(total)") == test.isWindowed)
    let html = try String(contentsOfFile: page, encoding: .utf8).replacing("\u{A0}", with: " ")
    #expect(html.contains("\(mode), ") && html.contains("of \(Formatting.bytes(channels))"))
    #expect(html.contains("layout zeroed saves nothing") == !saves)
  }

  /// What the caches of a run hold at its end, where a windowed one is largest. They keep keys that a
  /// layer's own sliding window has left behind.
  @Test(arguments: cases.filter { $0.model != "mistral_swa" }) func verifyHoldsIt(
    _ test: Case
  ) throws {
    let folder = try TemporaryDirectory()
    let dense = try copyModel(test.model, to: folder)
    let out = folder.path("out")
    // The next token would flush.
    let decoded = 5 * Self.window.accumulate + Self.window.accumulate - 1
    let json = try leank(
      expecting: 0,
      [
        "convert", "--model", dense, "--mask",
        Fixtures.path("Reference/\(test.model)/mask.safetensors"), "--output", out, "--layout",
        test.layout.rawValue, "--context", "\(24 + decoded)", "--json",
      ] + (test.isWindowed ? Self.windowed : ["--mode", "static"])
    ).json
    let context = try #require(json["contexts"]?.children.map(\.value).first)
    let run = try leank(
      expecting: 0,
      ["verify", dense, out, "--prompt-length", "24", "--decode", "\(decoded)", "--json"]
    ).json
    for (key, name) in [("k_cache_bytes", "keys"), ("v_cache_bytes", "values")] {
      for side in ["dense", "pruned"] {
        #expect(run[key]?[side]?.integer == context[side]?[name]?.integer, "\(key) \(side)")
      }
    }
  }
}
