import ByteIO
import Foundation
import TestSupport
import Testing

@testable import LeanKTokenizer

@Suite("Reading tokenizer.json")
struct ReaderTests {
  /// A file of a few tokens, with some of its top-level keys or of its model's replaced.
  private static func file(
    _ parts: [String: String] = [:], model: [String: String] = [:]
  ) -> [UInt8] {
    let usual = [
      "type": #""BPE""#, "vocab": #"{"a": 0, "b": 1, "ab": 2, "<s>": 3}"#,
      "merges": #"[["a", "b"]]"#,
    ].merging(model) { $1 }
    let text = usual.filter { !$0.value.isEmpty }.map { "\"\($0.key)\": \($0.value)" }
    let all = ["model": "{\(text.joined(separator: ", "))}"].merging(parts) { $1 }
    let members = all.filter { !$0.value.isEmpty }.map { "\"\($0.key)\": \($0.value)" }
    return Array("{\(members.joined(separator: ", "))}".utf8)
  }

  private func code(_ bytes: [UInt8]) -> TokenizerCode? {
    do throws(TokenizerError) {
      _ = try Tokenizer(bytes, path: "tokenizer.json")
      return nil
    } catch {
      #expect(error.path == "tokenizer.json" && !error.description.contains("\n"))
      return error.code
    }
  }

  private static let flags =
    #""single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false"#

  private static func added(_ content: String, id: Int) -> String {
    "[{\"id\": \(id), \"content\": \"\(content)\", \(flags)}]"
  }

  @Test func smallestFile() throws {
    let tokenizer = try Tokenizer(Self.file())
    #expect(try tokenizer.encode("abba") == [2, 1, 0])
    #expect(try tokenizer.decode([2, 1]) == "ab b")
    #expect(try tokenizer.encode("xax") == [0])
    let old = try Tokenizer(
      Self.file(model: ["type": "", "merges": ##"["#version: 0.2", "a b"]"##]))
    #expect(try old.encode("abba") == [2, 1, 0])
  }

  @Test(
    "parts that leank does not compute are refused by name",
    arguments: [
      file(model: ["type": #""Unigram""#]), file(model: ["type": #""WordPiece""#]),
      file(model: ["dropout": "0.1"]), file(model: ["continuing_subword_prefix": #""@@""#]),
      file(model: ["end_of_word_suffix": #""</w>""#]),
      file(["normalizer": #"{"type": "Precompiled"}"#]),
      file(["normalizer": #"{"type": "BertNormalizer"}"#]),
      file(["pre_tokenizer": #"{"type": "UnicodeScripts"}"#]),
      file(["pre_tokenizer": #"{"type": "Split", "pattern": {"String": "a"}, "behavior": "Other"}"#]
      ),
      file([
        "pre_tokenizer": #"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}"#
      ]),
      file(["post_processor": #"{"type": "RobertaProcessing"}"#]),
      file(["decoder": #"{"type": "WordPiece"}"#]),
      file([
        "post_processor": #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B"}}]}"#
      ]),
      file(["post_processor": #"{"type": "TemplateProcessing", "single": []}"#]),
      file([
        "normalizer": #"{"type": "Strip", "strip_left": true, "strip_right": true}"#,
        "added_tokens":
          #"[{"id": 4, "content": " ", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}]"#,
      ]),
    ])
  func unsupported(bytes: [UInt8]) {
    #expect(code(bytes) == .unsupportedPart, "\(String(decoding: bytes, as: UTF8.self))")
    #expect(code(bytes)?.failureClass == .unsupported)
  }

  @Test(
    "files that contradict themselves or lack something are refused",
    arguments: [
      (file(["model": ""]), TokenizerCode.missingKey), (file(model: ["vocab": ""]), .missingKey),
      (file(model: ["merges": ""]), .missingKey), (file(["model": "[]"]), .wrongType),
      (file(model: ["vocab": "[]"]), .wrongType), (file(model: ["merges": "{}"]), .wrongType),
      (file(model: ["merges": #"[["a", "b"], "a b"]"#]), .wrongType),
      (file(model: ["merges": #"[["a"]]"#]), .wrongType),
      (file(model: ["merges": #"[["a", "b", "a"]]"#]), .wrongType),
      (file(model: ["merges": #"["ab"]"#]), .wrongType),
      (file(model: ["merges": #"["a b a"]"#]), .wrongType),
      (file(model: ["merges": "[1]"]), .wrongType),
      (file(model: ["merges": #"[["a", 1]]"#]), .wrongType),
      (file(model: ["merges": #"[["b", "a"]]"#]), .mergeToken),
      (file(model: ["merges": #"[["c", "a"]]"#]), .mergeToken),
      (file(model: ["vocab": #"{"a": 0, "b": 0, "ab": 1}"#]), .inconsistent),
      (file(model: ["vocab": #"{"a": -1, "b": 0, "ab": 1}"#]), .outOfRange),
      (file(model: ["vocab": #"{"a": 1.5, "b": 0, "ab": 1}"#]), .outOfRange),
      (file(model: ["vocab": #"{"a": 99999999, "b": 0, "ab": 1}"#]), .tooLarge),
      (file(model: ["vocab": "{\"\(String(repeating: "x", count: 70_000))\": 0}"]), .tooLarge),
      (
        file(model: ["merges": "[[\"\(String(repeating: "x", count: 140_000))\", \"a\"]]"]),
        .tooLarge
      ),
      (file(model: ["fuse_unk": "1"]), .wrongType), (file(model: ["unk_token": "1"]), .wrongType),
      (file(["added_tokens": "{}"]), .wrongType),
      (file(["added_tokens": added("x", id: 9)]), .inconsistent),
      (file(["added_tokens": added("ab", id: 4)]), .inconsistent),
      (file(["added_tokens": #"[{"id": 4, "content": "x"}]"#]), .missingKey),
      (file(["added_tokens": #"[{"id": 4}]"#]), .missingKey),
      (file(["added_tokens": added(String(repeating: "x", count: 600), id: 4)]), .tooLarge),
      (file(["normalizer": "{}"]), .missingKey),
      (file(["normalizer": #"{"type": 1}"#]), .wrongType),
      (file(["normalizer": #"{"type": "Prepend"}"#]), .missingKey),
      (file(["normalizer": #"{"type": "Replace", "pattern": {}, "content": ""}"#]), .missingKey),
      (file(["normalizer": #"{"type": "Replace", "content": ""}"#]), .missingKey),
      (
        file(["normalizer": #"{"type": "Replace", "pattern": {"Regex": "("}, "content": ""}"#]),
        .patternSyntax
      ),
      (
        file(["normalizer": #"{"type": "Replace", "pattern": {"Regex": "\\h"}, "content": ""}"#]),
        .unsupportedPattern
      ),
      (file(["pre_tokenizer": #"{"type": "ByteLevel"}"#]), .missingKey),
      (file(["pre_tokenizer": #"{"type": "Metaspace", "replacement": "ab"}"#]), .outOfRange),
      (
        file([
          "pre_tokenizer":
            #"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": false}"#
        ]), .inconsistent
      ),
      (
        file(["decoder": #"{"type": "Strip", "content": "a", "start": -1, "stop": 0}"#]),
        .outOfRange
      ),
      (
        file(["decoder": #"{"type": "Strip", "content": "a", "start": "1", "stop": 0}"#]),
        .wrongType
      ),
      (file(["post_processor": #"{"type": "TemplateProcessing", "single": [{}]}"#]), .missingKey),
      (
        file([
          "post_processor":
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}], "special_tokens": {}}"#
        ]), .missingKey
      ),
      (
        file([
          "post_processor":
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"x": {"ids": [77]}}}"#
        ]), .unknownID
      ),
      (
        file([
          "post_processor":
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"x": {"ids": ["3"]}}}"#
        ]), .outOfRange
      ),
      (
        file([
          "pre_tokenizer":
            #"{"type": "Sequence", "pretokenizers": [\#(Array(repeating: #"{"type": "Whitespace"}"#, count: 65).joined(separator: ","))]}"#
        ]), .tooLarge
      ),
    ])
  func refusals(bytes: [UInt8], expected: TokenizerCode) {
    #expect(code(bytes) == expected, "\(String(decoding: bytes, as: UTF8.self))")
  }

  @Test("what is no JSON is refused as such, with its place")
  func notJSON() {
    #expect(code(Array("{".utf8))?.rawValue == "unexpected_end")
    #expect(code(Array(#"{"a": 1, "a": 2}"#.utf8))?.rawValue == "duplicate_key")
    #expect(code([UInt8](repeating: 0x20, count: Tokenizer.byteLimit + 1)) == .tooLarge)
    let dense = Array("[0\(String(repeating: ",0", count: 3_100_000))]".utf8)
    #expect(code(dense)?.failureClass == .limitExceeded)
  }

  @Test("keys that Unicode takes for equivalent are two tokens")
  func equivalentTokens() throws {
    let vocabulary = #"{"K": 0, "\u212a": 1, "\u00e9": 2, "e\u0301": 3, "e": 4, "\u0301": 5}"#
    let tokenizer = try Tokenizer(
      Self.file(model: ["vocab": vocabulary, "merges": #"[["e", "\u0301"]]"#]))
    #expect(try tokenizer.encode("K\u{212A}\u{E9}e\u{301}") == [0, 1, 2, 3])
  }

  @Test("a character without a token is dropped, unknown, or refused")
  func unknownCharacters() throws {
    #expect(
      try Tokenizer(Self.file(model: ["unk_token": #""<s>""#])).encode("axyb") == [0, 3, 3, 1])
    let fused = ["unk_token": #""<s>""#, "fuse_unk": "true"]
    #expect(try Tokenizer(Self.file(model: fused)).encode("axyb") == [0, 3, 1])
    let missing = try Tokenizer(Self.file(model: ["unk_token": #""none""#]))
    #expect(try missing.encode("ab") == [2])
    #expect(throws: TokenizerError(.unknownText, "")) { try missing.encode("axb") }
  }

  @Test("scalars are stripped from both ends of the whole, however it is cut")
  func strippedEnds() throws {
    let decoder =
      #"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "a", "start": 2, "stop": 3}]}"#
    let tokenizer = try Tokenizer(Self.file(["decoder": decoder]))
    for (ids, text) in [
      ([0, 0, 0, 1, 0, 0, 0, 0], "aba"), ([0, 2, 0], "b"), ([1, 0, 0], "b"), ([2, 2], "bab"),
      ([1], "b"),
    ] {
      #expect(try tokenizer.decode(ids) == text)
    }
  }

  @Test("a text of 64 MiB has an end") func longText() throws {
    let tokenizer = try Tokenizer(Self.file())
    let text = String(repeating: "x", count: Tokenizer.textLimit + 1)
    #expect(throws: TokenizerError(.tooLarge, "")) { try tokenizer.encode(text) }
    let longer = try Tokenizer(
      Self.file([
        "normalizer":
          #"{"type": "Replace", "pattern": {"String": "x"}, "content": "\#(String(repeating: "y", count: 60_000))"}"#
      ]))
    #expect(throws: TokenizerError(.tooLarge, "")) {
      try longer.encode(String(repeating: "x", count: 60_000))
    }
  }

  @Test("a directory's file is read, unless a conversion did not finish there")
  func directory() throws {
    let directory = try TemporaryDirectory()
    let handle = try DirectoryHandle(path: directory.path)
    #expect(throws: TokenizerError(FileError(.missing, ""))) { try Tokenizer(directory: handle) }
    try directory.write(Self.file(), to: "tokenizer.json")
    #expect(try Tokenizer(directory: handle).encode("ab") == [2])
    try directory.write([], to: StagingDirectory.marker)
    #expect(throws: TokenizerError(.incomplete, "")) { try Tokenizer(directory: handle) }
  }

  @Test("damaged files are read or refused, and what is read encodes or refuses texts")
  func mutants() throws {
    var mutator = ByteMutator(seed: 21)
    let texts = ["The key, it's 12 é層\u{301} <tool> x\n\n", "\u{1F600}  <s> a\u{200D}b"]
    var read = 0
    for name in ["gpt2", "llama3", "gemma", "behaviors", "lowercase_nfd", "metaspace_first"] {
      let bytes = try Fixtures.bytes("Tokenizers/\(name).json")
      for _ in 0..<300 {
        guard let tokenizer = try? Tokenizer(mutator.mutant(of: bytes)) else { continue }
        read += 1
        for text in texts {
          guard let ids = try? tokenizer.encode(text) else { continue }
          _ = try tokenizer.decode(ids)
        }
      }
    }
    #expect(read > 15)
  }
}
