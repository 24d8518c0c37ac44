import ByteIO
import Testing

/// Names that `String` takes for one: canonically equivalent, of different bytes.
@Suite struct UTF8NameTests {
  static let pairs = [
    ("K", "\u{212A}"), ("\u{E9}", "e\u{301}"), ("a\u{323}\u{307}", "a\u{307}\u{323}"),
    ("x;y", "x\u{37E}y"),
  ]

  @Test(arguments: pairs) func differByTheirBytes(_ one: String, _ other: String) {
    #expect(one == other)
    #expect(UTF8Name(one) != UTF8Name(other))
    #expect(Set([one, other].map { UTF8Name($0) }).count == 2)
    let places = [UTF8Name(one): 1, UTF8Name(other): 2]
    #expect(places[UTF8Name(one)] == 1)
    #expect(places[UTF8Name(other)] == 2)
    #expect(one.hasPrefix(other))
    #expect(!one.hasBytes(prefix: other))
    #expect(!one.hasBytes(suffix: other))
  }

  @Test func orderIsThatOfTheBytes() {
    let names = ["e\u{301}", "\u{E9}", "z", "\u{FF5E}", "\u{1F600}", "K", "\u{212A}", ""]
    let bytes = names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
    #expect(names.map { UTF8Name($0) }.sorted().map { Array($0.text.utf8) } == bytes)
  }

  @Test func equalBytesAreOneName() {
    #expect(UTF8Name("layers.0") == "layers.0")
    #expect(
      UTF8Name("layers.0").hashValue == UTF8Name(["layers", "0"].joined(separator: ".")).hashValue)
    #expect("layers.0.weight".hasBytes(prefix: "layers."))
    #expect("layers.0.weight".hasBytes(suffix: ".weight"))
    #expect(!"weight".hasBytes(suffix: "a.weight"))
  }
}
