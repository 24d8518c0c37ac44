import ByteIO
import LeanKFormat
import LeanKMask
import TestSupport
import Testing

/// Scores that come out of a `.leank` file, for `mask` and for `import --scores`.
struct ScoresInputTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A file of 16 channels in one layer of `kvHeads` heads, all kept, with scores.
  private func file(_ name: String, kvHeads: Int) throws -> String {
    let layer = try LayerGeometry(kvHeads: kvHeads, headDim: 16 / kvHeads)
    let heads = [ChannelSet](repeating: .full(width: 16 / kvHeads), count: kvHeads)
    let mask = try ChannelMask(layers: [LayerMask(geometry: layer, heads: heads)])
    let scores = try ImportanceScores(kind: "k", values: (0..<16).map(Float.init))
    let bytes = try LeankFile.encode(MaskDocument(mask: mask, scores: scores)).bytes
    return try directory.write(bytes, to: name)
  }

  private func provenance(of name: String) throws -> Provenance {
    let bytes = try readFile(directory.path(name), limit: 1 << 20)
    return try LeankFile(bytes).document.provenance
  }

  /// A pipe can be read once only: the digest is that of what was read.
  @Test func digestOfScoresFromAPipe() throws {
    let source = try file("scores.leank", kvHeads: 2)
    let options = "--ratio 0.5 --align 4 --output \(directory.path)"
    try #require(try shell("leank mask \(source) \(options)/a.leank").code == 0)
    let piped = try shell("cat \(source) | leank mask - \(options)/b.leank")
    try #require(piped.code == 0, "\(piped.diagnostics)")
    let (direct, other) = (try provenance(of: "a.leank"), try provenance(of: "b.leank"))
    #expect(direct[Provenance.sourceDigest] != nil)
    #expect(direct[Provenance.sourceDigest] == other[Provenance.sourceDigest])
    #expect(other[Provenance.source] == nil)
  }

  /// As many channels are not the same channels.
  @Test func scoresOfAnotherShape() throws {
    let mask = try file("mask.leank", kvHeads: 2)
    let scores = try file("other.leank", kvHeads: 4)
    let output = directory.path("out.leank")
    let run = leank("import", mask, "--scores", scores, "--output", output)
    #expect(run.code == 3)
    #expect(run.diagnostics.hasPrefix("leank: \(scores): scores of another shape: layer 0"))
    try leank(expecting: 0, ["import", mask, "--scores", mask, "--output", output])
  }
}
