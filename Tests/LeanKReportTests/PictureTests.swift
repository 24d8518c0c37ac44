import Foundation
import LeanKMask
import LeanKReport
import TestSupport
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// Elements of a well-formed document: their names, identifiers and texts.
private final class Outline: NSObject, XMLParserDelegate {
  var counts: [String: Int] = [:]
  var ids: Set<String> = []
  var links: [String] = []
  var titles: [String] = []
  var scripts: [String] = []
  private var text = ""

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
    qualifiedName: String?, attributes: [String: String] = [:]
  ) {
    counts[name, default: 0] += 1
    if let id = attributes["id"] { ids.insert(id) }
    if let link = attributes["href"] { links.append(link) }
    text = ""
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

  func parser(
    _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
  ) {
    if name == "title" { titles.append(text) }
    if name == "script" { scripts.append(text) }
  }

  static func of(_ text: String) throws -> Outline {
    let outline = Outline()
    let parser = XMLParser(data: Data(text.utf8))
    parser.delegate = outline
    try #require(parser.parse(), "line \(parser.lineNumber), column \(parser.columnNumber)")
    return outline
  }
}

@Suite("Pictures and pages")
struct PictureTests {
  private func subject(title: String = "mask.leank") throws -> ReportSubject {
    let mask = try tinyMask("windowed_mask_r0.7_align16")
    var document = try MaskDocument(
      mask: mask, alignment: Alignment(unit: 16, rule: .given), scores: try tinyScores(for: mask),
      deployment: .windowed(AttentionWindow(sink: 4, recent: 16, accumulate: 1)))
    document.provenance["note"] = "a < b & \"c\" ]]> </script>"
    return ReportSubject(document, title: title, contentID: "00ff", fileBytes: 1234)
  }

  @Test("the SVG is well-formed and has a hover text for each cell")
  func svg() throws {
    let outline = try Outline.of(HeatmapSVG(subject()).text)
    // 4 layers of 2 heads, 4 layers of 64 channels, and the picture's own.
    #expect(outline.titles.count == 4 * 2 + 4 * 64 + 1)
    for (layer, counts) in try Expected.read().masks[2].counts.enumerated() {
      for (head, count) in counts.enumerated() {
        let text = "layer \(layer), KV head \(head): keeps \(count) of 64 channels"
        #expect(outline.titles.contains { $0.hasPrefix(text) })
      }
    }
  }

  @Test("the report is well-formed, complete, and asks nothing of the network")
  func html() throws {
    let text = HTMLReport(try subject()).text
    let outline = try Outline.of(text)
    let figures: Set = [
      "heads", "layers", "frequencies", "classes", "distribution", "memory", "channels", "mask",
      "scores",
    ]
    #expect(figures.isSubset(of: outline.ids))
    #expect(
      outline.links.allSatisfy { $0.hasPrefix("#") && outline.ids.contains(String($0.dropFirst())) }
    )
    #expect(outline.counts["svg"] == figures.count)
    #expect(!text.contains("http:") && !text.contains("https:"))
    #expect(text.components(separatedBy: "</script>").count == 3)
    let data = try #require(outline.scripts.first)
    let json = try JSONSerialization.jsonObject(with: Data(data.utf8))
    let object = try #require(json as? [String: [String: Any]])
    #expect(Set(object.keys) == figures)
    let counts = try #require(object["heads"]?["counts"] as? [Int])
    #expect(counts == (try Expected.read()).masks[2].counts.flatMap(\.self))
    let bits = try #require(object["mask"]?["bits"] as? String)
    #expect(bits.count { $0 == "1" } == counts.reduce(0, +))
  }

  @Test("hostile names stay text", arguments: ["<script>x</script>", "a\u{1B}[2Jb", "\"'&]]>"])
  func hostileNames(name: String) throws {
    let subject = try subject(title: name)
    _ = try Outline.of(HeatmapSVG(subject).text)
    let page = HTMLReport(subject).text
    _ = try Outline.of(page)
    #expect(!page.contains("<script>x"))
    #expect(!page.contains("\u{1B}"))
    #expect(!SummaryText(subject).lines.contains { $0.contains("\u{1B}") })
  }

  @Test("layers of different shapes, large ones too, make well-formed pictures")
  func shapes() throws {
    var generator = SeededGenerator(seed: 7)
    var layers: [LayerMask] = []
    for index in 0..<700 {
      let (heads, width) = index.isMultiple(of: 2) ? (3, 40) : (1, 2500)
      let sets = (0..<heads).map { _ in
        ChannelSet(width: width, channels: (0..<width).filter { _ in generator.next() % 5 == 0 })
      }
      layers.append(
        try LayerMask(geometry: LayerGeometry(kvHeads: heads, headDim: width), heads: sets))
    }
    let subject = ReportSubject(
      try MaskDocument(mask: ChannelMask(layers: layers)), title: "large")
    _ = try Outline.of(HeatmapSVG(subject).text)
    let page = HTMLReport(subject).text
    let outline = try Outline.of(page)
    #expect(!outline.ids.contains("mask"))
    #expect(page.utf8.count < 8 << 20)
    #expect(SummaryText(subject, usesColor: true).lines.count < 40)
  }

  @Test(
    "small and odd masks make well-formed pictures",
    arguments: [[[1]], [[0]], [[4]], [[0, 4, 2]], [[1], [2, 3, 4, 0], [4, 4]]] as [[[Int]]],
    [nil, 0, 4] as [Int?])
  func smallShapes(counts: [[Int]], rotary: Int?) throws {
    let attention = try rotary.map { width throws(MaskError) in
      AttentionGeometry(
        queryHeads: 12, rotary: try RotaryGeometry(width: width, pairing: .interleaved))
    }
    let mask = try mask(counts: counts, headDim: 4, attention: attention)
    // Equal scores have no range, the others are far smaller than 1.
    for scale in [0, 1e-9] as [Float] {
      let channels = MaskStatistics(of: mask).channels
      let document = try MaskDocument(
        mask: mask,
        scores: ImportanceScores(
          kind: "other", values: (0..<channels).map { scale * Float($0 + 1) }))
      let subject = ReportSubject(document, title: "folder/small.leank")
      _ = try Outline.of(HeatmapSVG(subject).text)
      let page = HTMLReport(subject).text
      let outline = try Outline.of(page)
      #expect(outline.ids.contains("frequencies") == (rotary != 0))
      // Heads and channels come whole.
      #expect(!page.contains(">0.2</text>"))
      #expect(!page.contains("folder"))
      #expect(page.contains("4e-09") == (scale > 0 && channels >= 4))
      #expect(page.contains("<small>static, "))
      // A picture is not blown up beyond what it is drawn for.
      for match in page.matches(of: /min-width:([0-9]+)[0-9.]*px;max-width:([0-9]+)/) {
        #expect(try #require(Int(match.1)) <= #require(Int(match.2)))
      }
    }
  }

  @Test(
    "a mask of the published size, or deeper, fits a screen of 30 lines and 102 columns",
    arguments: [32, 80, 126])
  func publishedSize(layers count: Int) throws {
    var generator = SeededGenerator(seed: 11)
    let layers = try (0..<count).map { _ in
      try LayerMask(
        geometry: LayerGeometry(kvHeads: 8, headDim: 128),
        heads: (0..<8).map { _ in
          let count = 32 * Int(generator.next() % 4)
          return ChannelSet(
            width: 128, channels: (0..<128).map { $0 }.shuffled(using: &generator).prefix(count))
        })
    }
    var document = try MaskDocument(
      mask: ChannelMask(layers: layers), alignment: Alignment(unit: 32, rule: .given),
      deployment: .windowed(.standard))
    document.provenance[Provenance.source] = "llama3.1-8b-instruct.pth"
    let id = String(repeating: "0", count: 64)
    let subject = ReportSubject(document, title: "m", contentID: id, fileBytes: 2718)
    for usesColor in [false, true] {
      let lines = SummaryText(subject, usesColor: usesColor).lines
      #expect(lines.count <= 30)
      #expect(lines.contains { $0.hasPrefix("KV heads") } == usesColor)
      for line in lines {
        #expect(line.replacing(/\u{1B}\[[0-9;]*m/, with: "").count <= 102, "\(line)")
      }
    }
  }

  @Test("layers of several shapes are told apart")
  func geometryLines() throws {
    let layers = try [2, 3, 2].map { heads in
      try LayerMask(
        geometry: LayerGeometry(kvHeads: heads, headDim: 4),
        heads: [ChannelSet](repeating: .full(width: 4), count: heads))
    }
    let lines = SummaryText(
      ReportSubject(try MaskDocument(mask: ChannelMask(layers: layers)), title: "m")
    ).lines
    let unknown = "of 4 channels; query heads and RoPE not recorded"
    #expect(lines.contains("geometry    layers 0, 2: 2 KV heads \(unknown)"))
    #expect(lines.contains("            layer 1: 3 KV heads \(unknown)"))
  }

  @Test("the summary fits a screen, and colour is asked for")
  func summary() throws {
    let plain = SummaryText(try subject()).lines
    #expect(plain.count <= 40)
    #expect(!plain.contains { $0.contains("\u{1B}") })
    let colored = SummaryText(try subject(), usesColor: true).lines
    #expect(colored.contains { $0.contains("\u{1B}[") })
    #expect(plain.contains { $0.hasPrefix("warning     not pair-closed") })
  }

  @Test("one layer and one head are shown channel by channel")
  func heads() throws {
    let subject = try subject()
    let mask = subject.document.mask
    let layer = try #require(HeadText(subject, layer: 1))
    #expect(layer.lines.count == 2 + mask.layers[1].heads.count)
    for (line, set) in zip(layer.lines.dropFirst(2), mask.layers[1].heads) {
      #expect(line.count { $0 == "█" } == set.count)
      #expect(line.count { $0 == "·" } == set.width - set.count)
    }
    let head = try #require(HeadText(subject, layer: 3, head: 1)).lines
    #expect(head.contains { $0.hasPrefix("highest") })
    #expect(HeadText(subject, layer: 4) == nil)
    #expect(HeadText(subject, layer: -1) == nil)
    #expect(HeadText(subject, layer: 0, head: 2) == nil)
  }

  @Test("kept channels are listed as ranges")
  func ranges() throws {
    let set = ChannelSet(width: 8, channels: [0, 1, 2, 5, 7])
    let layer = try LayerMask(geometry: LayerGeometry(kvHeads: 1, headDim: 8), heads: [set])
    let subject = ReportSubject(
      try MaskDocument(mask: ChannelMask(layers: [layer])), title: "ranges")
    let lines = try #require(HeadText(subject, layer: 0, head: 0)).lines
    #expect(lines.contains { $0.hasSuffix("0-2, 5, 7") })
    // Partners in half pairs over 8: 0-4, 1-5, 2-6, 3-7.
    #expect(lines.contains { $0.contains("also 3-4, 6,") })
  }
}
