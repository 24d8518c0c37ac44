import Foundation
import LeanKTokenizer
import StrictJSON
import TestSupport
import Testing

/// One tokenizer of `Fixtures/Tokenizers`, with what Hugging Face's library makes of the texts there.
struct Pipeline {
  let tokenizer: Tokenizer
  let texts: [String]
  let ids: [[Int]]
  let plain: [[Int]]
  let decoded: [String]
  let shown: [String]

  static let names: [String] = {
    let files = try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("Tokenizers"))
    let suffix = ".cases.json"
    return (files ?? []).filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }
      .sorted()
  }()

  init(_ name: String) throws {
    tokenizer = try Self.open(name)
    texts = try Self.strings(Self.json("texts.json"))
    let cases = try Self.json(name + ".cases.json")
    ids = try Self.lists(cases["ids"])
    decoded = try Self.strings(cases["decoded"])
    plain = cases["plain"]?.isNull == true ? ids : try Self.lists(cases["plain"])
    shown = cases["shown"]?.isNull == true ? decoded : try Self.strings(cases["shown"])
    try #require(texts.count > 100)
    try #require(
      [ids.count, plain.count, decoded.count, shown.count].allSatisfy { $0 == texts.count })
  }

  static func open(_ name: String) throws -> Tokenizer {
    try Tokenizer(try Fixtures.bytes("Tokenizers/" + name + ".json"), path: name)
  }

  static func json(_ name: String) throws -> JSONValue {
    try JSONDocument(
      try Fixtures.bytes("Tokenizers/" + name), valueLimit: 1 << 20, combiningLimit: .max
    ).root
  }

  static func strings(_ list: JSONValue?) throws -> [String] {
    try #require(list).values.map { try #require($0.string) }
  }

  private static func lists(_ list: JSONValue?) throws -> [[Int]] {
    try #require(list).values.map { try $0.values.map { try #require($0.integer) } }
  }
}

/// Whether two texts are the same, byte for byte.
func same(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }
