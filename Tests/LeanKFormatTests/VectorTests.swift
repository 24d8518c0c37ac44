import ByteIO
import Foundation
import LeanKMask
import TestSupport
import Testing

@testable import LeanKFormat

/// The files of `Fixtures/Vectors`, read by leank and by the reader that was written from the text.
@Suite struct VectorTests {
  /// What a sidecar says about its file.
  struct Outcome: Codable, Equatable {
    var outcome: String
    var refusal: String?
    var version: [Int]?
    var contentID: String?
    var sections: [SectionRow]?
    var layers: [Layer]?
    var mask: [[String]]?
    var alignment: AlignmentRow?
    var scores: Scores?
    var deployment: Deployment?
    var provenance: [String: String]?
    var unknownSections: [Unknown]?

    enum CodingKeys: String, CodingKey {
      case outcome, version, sections, layers, mask, alignment, scores, deployment, provenance
      case refusal = "class"
      case contentID = "content_id"
      case unknownSections = "unknown_sections"
    }

    struct SectionRow: Codable, Equatable {
      var tag: String
      var flags: Int
      var codec: Int
      var raw_length: Int
    }

    struct Layer: Codable, Equatable {
      var kv_heads: Int
      var head_dim: Int
      var query_heads: Int?
      var rotary_width: Int?
      var pairing: String?
    }

    struct AlignmentRow: Codable, Equatable {
      var unit: Int
      var rule: String
      var target_ratio: Double?
      var channels_kept: Int
    }

    struct Scores: Codable, Equatable {
      var kind: String
      var dtype: String
      var bits: String
    }

    struct Deployment: Codable, Equatable {
      var mode: String
      var sink: Int
      var recent: Int
      var accumulate: Int
    }

    struct Unknown: Codable, Equatable {
      var tag: String
      var safe_to_copy: Bool
      var hex: String
    }
  }

  static func names(_ folder: String) -> [String] {
    let path = Fixtures.path("Vectors/v1/" + folder)
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return entries.filter { $0.hasSuffix(".leank") }.sorted()
  }

  static func path(_ folder: String, _ name: String) -> String {
    Fixtures.path("Vectors/v1/\(folder)/\(name)")
  }

  static func expected(_ folder: String, _ name: String) throws -> Outcome {
    let sidecar = String(name.dropLast(5)) + "json"
    let bytes = try Fixtures.bytes("Vectors/v1/\(folder)/\(sidecar)")
    return try JSONDecoder().decode(Outcome.self, from: Data(bytes))
  }

  static func read(_ bytes: [UInt8]) -> Outcome {
    do {
      return Outcome(try LeankFile(bytes))
    } catch {
      return Outcome(outcome: "invalid", refusal: error.code.rawValue)
    }
  }

  @Test(arguments: ["valid", "invalid"]) func leankReadsVectors(folder: String) throws {
    let names = Self.names(folder)
    #expect(names.count >= (folder == "valid" ? 60 : 100))
    for name in names {
      let outcome = Self.read(try Fixtures.bytes("Vectors/v1/\(folder)/\(name)"))
      #expect(outcome == (try Self.expected(folder, name)), "\(name)")
      #expect(outcome.outcome == folder, "\(name)")
    }
  }

  /// What is written again has the same content; where nothing is compressed, the same bytes.
  @Test func rewritesOfValidVectors() throws {
    for name in Self.names("valid") {
      let bytes = try Fixtures.bytes("Vectors/v1/valid/\(name)")
      let file = try LeankFile(bytes)
      let again = try file.encoded()
      let reread = try LeankFile(again)
      #expect(reread.document == file.document, "\(name)")
      #expect(reread.unknownSections == file.unknownSections.filter(\.isSafeToCopy), "\(name)")
      guard file.unknownSections.allSatisfy(\.isSafeToCopy) else { continue }
      #expect(reread.contentID == file.contentID, "\(name)")
      let isRaw = file.sections.allSatisfy { $0.codec == .raw }
      if isRaw, reread.sections == file.sections, file.version == .current {
        #expect(again == bytes, "\(name)")
      }
    }
  }

  @Test func everyClassOfRefusalHasAVector() throws {
    let classes = try Set(Self.names("invalid").map { try Self.expected("invalid", $0).refusal })
    #expect(classes == Set(FormatCode.all.map(\.rawValue)))
  }

  @Test func codesAreFoundByTheirNames() {
    for code in FormatCode.all { #expect(FormatCode.named(code.rawValue) == code) }
    #expect(FormatCode.named("no_such_class") == nil)
  }

  /// The specification's table of classes is the code's, kinds included.
  @Test func classesAreThoseOfTheSpecification() throws {
    let text = try Self.specification()
    let table = text.components(separatedBy: "## 8.")[1].components(separatedBy: "## 9.")[0]
    var kinds: [String: String] = [:]
    for line in table.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      kinds[cells[0].trimmingCharacters(in: ["`"])] = cells[1]
    }
    let names: [FailureClass: String] = [
      .malformed: "malformed", .unsupported: "unsupported", .limitExceeded: "limit",
    ]
    let own = Dictionary(
      uniqueKeysWithValues: FormatCode.all.map { ($0.rawValue, names[$0.failureClass] ?? "") })
    #expect(kinds == own)
  }

  @Test func theSpecificationsExampleIsAFile() throws {
    let example = try Self.specification().components(separatedBy: "## 9.")[1]
    let lines = example.components(separatedBy: "```")[1].split(separator: "\n")
    var bytes: [UInt8] = []
    for line in lines {
      let columns = line.components(separatedBy: "  ")
      #expect(Int(columns[0], radix: 16) == bytes.count)
      bytes += columns[1].split(separator: " ").compactMap { UInt8($0, radix: 16) }
    }
    #expect(bytes == (try Fixtures.bytes("Vectors/v1/valid/worked_example.leank")))
    #expect(try LeankFile(bytes).encoded() == bytes)
  }

  /// The reader written from the text agrees on every vector.
  @Test func theStrangersReaderAgrees() throws {
    try Self.compareWithTheStranger(
      ["valid", "invalid"].flatMap { folder in Self.names(folder).map { Self.path(folder, $0) } })
  }

  /// And on what becomes of valid ones by a few changed bytes, most with checksums made good again.
  @Test func theStrangersReaderAgreesOnMutants() throws {
    let directory = try TemporaryDirectory()
    var mutator = ByteMutator(seed: 2025)
    var paths: [String] = []
    for name in Self.names("valid") {
      let bytes = try Fixtures.bytes("Vectors/v1/valid/\(name)")
      guard bytes.count < 2000 else { continue }
      for copy in 0..<8 {
        let mutant = mutator.mutant(of: bytes)
        let isSealed = copy > 0 && mutant.count >= FormatHeader.size
        paths.append(
          try directory.write(isSealed ? sealed(mutant) : mutant, to: "\(copy)_\(name)"))
      }
    }
    #expect(paths.count > 500)
    try Self.compareWithTheStranger(paths)
  }

  private static func compareWithTheStranger(_ paths: [String]) throws {
    guard isInstalled("python3"), isInstalled("zstd") || hasPythonZstd() else {
      print("skipped: python3 or a zstd decoder for it is missing")
      return
    }
    let (status, output) = try run(["python3", specificationFolder + "/reader.py"] + paths)
    #expect(status == 0)
    let lines = output.split(separator: UInt8(ascii: "\n"))
    #expect(lines.count == paths.count)
    for (path, line) in zip(paths, lines) {
      let theirs = try JSONDecoder().decode(Outcome.self, from: Data(line))
      let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
      #expect(theirs == read(bytes), "\(path.split(separator: "/").last ?? "")")
    }
  }

  private static let specificationFolder =
    Fixtures.root.deletingLastPathComponent().appending(path: "Spec/v1").path

  private static func specification() throws -> String {
    try String(contentsOfFile: specificationFolder + "/format.md", encoding: .utf8)
  }

  private static func isInstalled(_ program: String) -> Bool {
    (try? run(["sh", "-c", "command -v " + program]).status) == 0
  }

  private static func hasPythonZstd() -> Bool {
    let modules = ["compression.zstd", "zstandard"]
    return modules.contains { (try? run(["python3", "-c", "import " + $0]).status) == 0 }
  }

  /// Runs a program with its standard error dropped.
  private static func run(_ arguments: [String]) throws -> (status: Int32, output: Data) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, bytes)
  }
}

extension VectorTests.Outcome {
  init(outcome: String, refusal: String) {
    self.outcome = outcome
    self.refusal = refusal
  }

  init(_ file: LeankFile) {
    outcome = "valid"
    version = [file.version.major, file.version.minor]
    contentID = file.contentID.hex
    sections = file.sections.map {
      .init(
        tag: $0.tag, flags: ($0.isCritical ? 1 : 0) + ($0.isSafeToCopy ? 2 : 0),
        codec: Int($0.codec.rawValue), raw_length: $0.rawLength)
    }
    let document = file.document
    layers = document.mask.layers.map { layer in
      let rotary = layer.geometry.attention?.rotary
      return .init(
        kv_heads: layer.geometry.kvHeads, head_dim: layer.geometry.headDim,
        query_heads: layer.geometry.attention?.queryHeads, rotary_width: rotary?.width,
        pairing: rotary.map { $0.width == 0 ? "none" : $0.pairing.rawValue })
    }
    mask = document.mask.layers.map { layer in
      layer.heads.map { head in String((0..<head.width).map { head[$0] ? "1" : "0" }) }
    }
    alignment = document.alignment.map {
      .init(
        unit: $0.unit, rule: $0.rule.rawValue, target_ratio: $0.targetRatio,
        channels_kept: document.mask.keptCount)
    }
    scores = document.scores.map { scores in
      let bits = scores.bits.map { String($0, radix: 16) }.joined(separator: " ")
      return .init(kind: scores.kind, dtype: scores.scalar.rawValue, bits: bits)
    }
    deployment = document.deployment.map {
      .init(
        mode: $0.mode.rawValue, sink: $0.window?.sink ?? 0, recent: $0.window?.recent ?? 0,
        accumulate: $0.window?.accumulate ?? 0)
    }
    provenance = document.provenance.entries
    unknownSections = file.unknownSections.map { section in
      let hex = section.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      return .init(tag: section.name, safe_to_copy: section.isSafeToCopy, hex: hex)
    }
  }
}
