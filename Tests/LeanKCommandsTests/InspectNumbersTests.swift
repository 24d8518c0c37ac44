import Foundation
import LeanKReport
import TestSupport
import Testing

/// `--json` against what people are shown: each number of the summary and of the page is in it.
@Suite("Numbers of inspect")
struct InspectNumbersTests {
  private let model = Fixtures.path("Models/leank-tiny")

  /// Prints the JSON of `arguments`.
  private func json(_ arguments: [String]) throws -> [String: Any] {
    let run = try leank(expecting: 0, ["inspect"] + arguments + ["--json"])
    let parsed = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
    return try #require(parsed as? [String: Any])
  }

  /// All numbers of a JSON value; a place in a list is one too.
  private func numbers(in value: Any) -> [Double] {
    switch value {
    case let list as [Any]:
      list.enumerated().flatMap { [Double($0.offset)] + numbers(in: $0.element) }
    case let object as [String: Any]:
      object.flatMap { numbers(in: Int($0.key) ?? 0) + numbers(in: $0.value) }
    case let number as Double: [number]
    default: []
    }
  }

  /// How people are shown `number`: as it is, as a percentage, as a size.
  private func forms(of number: Double) -> [String] {
    var forms = [0, 1, 2].map { Formatting.fixed(number * 100, digits: $0) + " %" }
    forms += [Formatting.fixed(number * 100, digits: 1), Formatting.scientific(number, digits: 4)]
    if let whole = Int(exactly: number) {
      forms += [Formatting.count(whole), Formatting.bytes(whole)]
    }
    return forms
  }

  private func shown(in text: String) throws -> [String] {
    let pattern = try NSRegularExpression(
      pattern: "(?<![A-Za-z0-9_.,])[0-9]+(?:[.,][0-9]+)*(?:e[+-][0-9]+)?(?: %| [KMGT]?B\\b)?")
    let whole = NSRange(text.startIndex..., in: text)
    return pattern.matches(in: text, range: whole).compactMap {
      Range($0.range, in: text).map { String(text[$0]) }
    }
  }

  @Test("JSON has every number of the summary and of the page")
  func everyNumber() throws {
    let directory = try TemporaryDirectory()
    let (file, page) = (directory.path("mask.leank"), directory.path("page.html"))
    try leank(
      expecting: 0,
      [
        "import", Fixtures.path("Masks/leank-tiny/windowed_mask_r0.7_align16.npy"), "--scores",
        Fixtures.path("Masks/leank-tiny/windowed_alpha_r0.7.tsv"), "--model", model, "--mode",
        "windowed", "--sink", "4", "--recent", "16", "--accumulate", "8", "--output", file,
      ])
    let arguments = [file, "--model", model]
    let run = try leank(expecting: 0, ["inspect"] + arguments + ["--report", page])
    let all = try json(arguments)
    let known = Set(numbers(in: all).flatMap(forms))

    // Names and digests are no numbers.
    let lines = run.output.split(separator: "\n").dropFirst().filter {
      !["file", "model", "from"].contains(String($0.prefix { $0 != " " }))
    }
    let html = try String(contentsOfFile: page, encoding: .utf8)
    let data = try #require(
      html.components(separatedBy: "id=\"data\">").last?.components(separatedBy: "</script>").first)
    let figures = try #require(
      try JSONSerialization.jsonObject(with: Data(data.utf8)) as? [String: [String: Any]])
    let hovers = figures.values.flatMap { $0["texts"] as? [String] ?? [] }
    #expect(hovers.count > 80)
    for text in lines.map(String.init) + hovers {
      let missing = try shown(in: text).filter { !known.contains($0) }
      #expect(missing.isEmpty, "\(text)")
    }

    let profile = try #require(all["profile"] as? [String: Any])
    let layers = try #require(profile["layers"] as? [[String: Any]])
    #expect(
      layers.flatMap { $0["counts"] as? [Int] ?? [] } == figures["heads"]?["counts"] as? [Int])
    #expect(
      layers.flatMap { $0["channel_heads"] as? [Int] ?? [] }
        == figures["channels"]?["heads"] as? [Int])
    // Single channels are with their layer.
    var bits = ""
    var scores: [Double] = []
    for layer in layers.indices {
      let heads = try #require(
        try json([file, "--layer", String(layer)])["heads"] as? [[String: Any]])
      for head in heads {
        let kept = Set(try #require(head["kept"] as? [Int]))
        bits += (0..<64).map { kept.contains($0) ? "1" : "0" }.joined()
        scores += try #require(head["scores"] as? [Double])
        #expect(head["kept_count"] as? Int == kept.count)
      }
    }
    #expect(bits == figures["mask"]?["bits"] as? String)
    let drawn = try #require(figures["scores"]?["scores"] as? [Double])
    #expect(drawn.count == scores.count)
    #expect(zip(drawn, scores).allSatisfy { abs($0 - $1) <= 1e-5 * abs($1) })
  }

  @Test("a head's JSON has the numbers of its text")
  func head() throws {
    let scores = Fixtures.path("Masks/leank-tiny/windowed_alpha_r0.7.tsv")
    let directory = try TemporaryDirectory()
    let file = directory.path("mask.leank")
    try leank(
      expecting: 0,
      ["mask", scores, "--model", model, "--ratio", "0.7", "--align", "16", "--output", file])
    for layer in 0..<4 {
      for head in 0..<2 {
        let arguments = [file, "--layer", String(layer), "--head", String(head)]
        let run = try leank(expecting: 0, ["inspect"] + arguments)
        let known = Set(numbers(in: try json(arguments)).flatMap(forms))
        // Channels stand there as ranges, whose ends are channels too.
        let text = run.output.replacing("-", with: " ")
        let missing = try shown(in: text).filter { !known.contains($0) }
        #expect(missing.isEmpty, "\(run.output)")
      }
    }
  }

  @Test("nothing is written when a request is refused")
  func refusedBeforeWriting() throws {
    let directory = try TemporaryDirectory()
    let mask = Fixtures.path("Masks/leank-tiny/windowed_mask_r0.7_align16.npy")
    for request in [["--layer", "9"], ["--layer", "1", "--head", "2"]] {
      try leank(
        expecting: 2,
        [
          "inspect", mask, "--report", directory.path("r.html"), "--heatmap",
          directory.path("h.svg"),
        ]
          + request)
    }
    #expect(!FileManager.default.fileExists(atPath: directory.path("r.html")))
    #expect(!FileManager.default.fileExists(atPath: directory.path("h.svg")))
  }

  @Test("a checkpoint gives the mask's page its name, and no page tells a path")
  func names() throws {
    let directory = try TemporaryDirectory()
    let mask = Fixtures.path("Masks/leank-tiny/windowed_mask_r0.7_align16.npy")
    for extra in [[], ["--model", model]] {
      try leank(
        expecting: 0,
        [
          "inspect", mask, "--report", directory.path("r.html"), "--heatmap",
          directory.path("h.svg"),
        ] + extra)
      for file in ["r.html", "h.svg"] {
        let text = try String(contentsOfFile: directory.path(file), encoding: .utf8)
        let name = extra.isEmpty ? "windowed_mask_r0.7_align16.npy" : "leank-tiny"
        #expect(text.contains("<title>\(name): "))
        #expect(!text.contains(Fixtures.root.path))
      }
    }
  }
}
