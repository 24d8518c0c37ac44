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
