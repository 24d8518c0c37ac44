import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKFormat
import LeanKInterchange
import LeanKTokenizer
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// What readers once got wrong, and what fuzzing found worth keeping, once more.
struct CrasherTests {
  /// Reads a file as the fuzz target of this name does.
  static let readers: [String: @Sendable ([UInt8]) throws -> Void] = [
    "leank_read": { _ = try LeankFile($0) },
    "safetensors_header": { bytes in
      let length = try SafetensorsHeader.jsonLength(parsing: bytes.span, fileSize: bytes.count)
      let json = Array(bytes[8..<8 + length])
      _ = try SafetensorsHeader(json: json.span, fileSize: bytes.count)
    },
    "index_json": { _ = try ShardIndex($0, path: "index") },
    "json_strict": { _ = try JSONDocument($0) },
    "npy": { _ = try NpyReader.read($0.span) },
    "zip_reader": { _ = try NpzReader.read($0.span) },
    "pth_whole": { _ = try MaskImporter.read($0.span, as: .pth) },
    "tsv": { _ = try TsvReader.read($0.span) },
    "tokenizer_json": { bytes in
      _ = try Tokenizer(Array(bytes.prefix { $0 != 0 }))
    },
    "chat_template": { _ = try ChatTemplate(String(decoding: $0, as: UTF8.self)) },
    "mask_json": { _ = try MaskImporter.read($0.span, as: .json) },
  ]

  /// 0 where `bytes` are read, else the exit code of the refusal.
  private static func verdict(_ target: String, _ bytes: [UInt8]) throws -> Int {
    let read = try #require(readers[target], "no target \(target)")
    do {
      try read(bytes)
      return 0
    } catch {
      return try #require(error as? any ClassifiedError, "\(error)").failureClass.rawValue
    }
  }

  /// Paths of the files in the folders of `root`, by the folders' names.
  private static func files(in root: URL) throws -> [String: [URL]] {
    var files: [String: [URL]] = [:]
    for folder in try FileManager.default.contentsOfDirectory(
      at: root, includingPropertiesForKeys: nil)
    where folder.hasDirectoryPath {
      files[folder.lastPathComponent] = try FileManager.default.contentsOfDirectory(
        at: folder, includingPropertiesForKeys: nil)
    }
    return files
  }

  @Test func verdicts() throws {
    let expected = try JSONDocument(try Fixtures.bytes("Crashers/expected.json")).root
    var found: Set<String> = []
    for (target, files) in try Self.files(in: Fixtures.root.appending(path: "Crashers")) {
      for file in files {
        let name = target + "/" + file.lastPathComponent
        found.insert(name)
        let verdict = try Self.verdict(target, [UInt8](try Data(contentsOf: file)))
        #expect(verdict == expected[name]?.integer, "\(name)")
      }
    }
    #expect(found == Set(expected.children.map(\.key)))
  }

  @Test func headerOfManyValues() throws {
    let json = Array((#"{"a":[0"# + String(repeating: ",0", count: 1 << 20) + "]}").utf8)
    let length = UInt64(json.count)
    let prefix = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) }
    #expect(try Self.verdict("safetensors_header", prefix + json) == 5)
  }

  /// The corpora that fuzzing starts from are read or refused, with a code that importers may end
  /// with.
  @Test func fuzzSeeds() throws {
    let root = Fixtures.root.deletingLastPathComponent().appending(path: "Fuzzing/Seeds")
    var verdicts: [Int: Int] = [:]
    for (target, files) in try Self.files(in: root) where Self.readers[target] != nil {
      for file in files {
        let verdict = try Self.verdict(target, [UInt8](try Data(contentsOf: file)))
        // 2 asks for the geometry of a table or of a tensor without heads
        #expect([0, 2, 3, 4, 5].contains(verdict), "\(target)/\(file.lastPathComponent)")
        verdicts[verdict, default: 0] += 1
      }
    }
    #expect(Set(verdicts.keys).isSuperset(of: [0, 3, 4, 5]))
  }
}
