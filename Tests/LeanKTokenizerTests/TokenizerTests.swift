import ByteIO
import LeanKTokenizer
import TestSupport
import Testing

@Suite("Tokenizers, beside Hugging Face's library")
struct TokenizerTests {
  @Test func allPipelinesAreThere() {
    #expect(Pipeline.names.count == 21)
  }

  @Test("texts become the same ids, with special tokens and without", arguments: Pipeline.names)
  func encode(name: String) throws {
    let pipeline = try Pipeline(name)
    var encoder = TextEncoder(pipeline.tokenizer)
    for (index, text) in pipeline.texts.enumerated() {
      #expect(try encoder.encode(text) == pipeline.ids[index], "\(name) \(text.debugDescription)")
      #expect(
        try pipeline.tokenizer.encode(text, addingSpecialTokens: false) == pipeline.plain[index],
        "\(name) \(text.debugDescription)")
    }
  }

  @Test("ids become the same texts", arguments: Pipeline.names)
  func decode(name: String) throws {
    let pipeline = try Pipeline(name)
    for (index, ids) in pipeline.ids.enumerated() {
      let all = try pipeline.tokenizer.decode(ids)
      #expect(same(all, pipeline.decoded[index]), "\(name) \(ids) \(all.debugDescription)")
      let shown = try pipeline.tokenizer.decode(ids, skippingSpecialTokens: true)
      #expect(same(shown, pipeline.shown[index]), "\(name) \(ids) \(shown.debugDescription)")
    }
  }

  @Test("a stream gives the same text in parts", arguments: Pipeline.names)
  func stream(name: String) throws {
    let pipeline = try Pipeline(name)
    for (index, ids) in pipeline.ids.enumerated() {
      var stream = TextStream(pipeline.tokenizer)
      var text = ""
      for id in ids { text += try stream.append(id) }
      text += try stream.finish()
      #expect(same(text, pipeline.shown[index]), "\(name) \(ids) \(text.debugDescription)")
    }
  }

  @Test("tokens are found by their ids and ids by their tokens")
  func tokens() throws {
    let tokenizer = try Pipeline.open("llama3")
    #expect(tokenizer.token(1) == "<s>")
    #expect(tokenizer.id(of: "<s>") == 1)
    #expect(tokenizer.isSpecial(1))
    let the = try #require(tokenizer.id(of: "Ġthe"))
    #expect(tokenizer.token(the) == "Ġthe")
    #expect(!tokenizer.isSpecial(the))
    #expect(tokenizer.id(of: "no such token") == nil)
    #expect(tokenizer.token(tokenizer.idBound) == nil)
    #expect(tokenizer.token(tokenizer.idBound - 1) == "<|im_end|>")
    #expect(throws: TokenizerError(.unknownID, "")) {
      try tokenizer.decode([the, tokenizer.idBound])
    }
    #expect(throws: TokenizerError(.unknownID, "")) { try tokenizer.decode([-1]) }
  }

  @Test("a character goes out when all its bytes are there, and never in halves")
  func streamedCharacters() throws {
    let tokenizer = try Pipeline.open("gpt2")
    let ids = try tokenizer.encode("é😀")
    #expect(ids.count == 6)
    var stream = TextStream(tokenizer)
    var parts: [String] = []
    for id in ids { parts.append(try stream.append(id)) }
    #expect(parts == ["", "é", "", "", "", "😀"])
    #expect(try stream.finish() == "")
    // a model may break off, or go on with something else
    #expect(try stream.append(ids[2]) == "")
    #expect(try stream.append(ids[0]) == "\u{FFFD}")
    #expect(try stream.append(tokenizer.idBound + 5) == "")
    #expect(try stream.finish() == "\u{FFFD}")
  }

  @Test("bytes in a row are text together or not at all")
  func streamedBytes() throws {
    let tokenizer = try Pipeline.open("gemma")
    let bytes = try [0xE5, 0xB1, 0xA4, 0x41].map { value in
      try #require(tokenizer.id(of: "<0x" + String(value, radix: 16, uppercase: true) + ">"))
    }
    let letter = try #require(tokenizer.id(of: "e"))
    var stream = TextStream(tokenizer)
    var text = ""
    for id in bytes.prefix(3) { text += try stream.append(id) }
    #expect(text == "")
    #expect(try stream.append(letter) == "層e")
    #expect(try stream.append(bytes[0]) == "")
    #expect(try stream.append(bytes[3]) == "")
    #expect(try stream.append(letter) == "\u{FFFD}\u{FFFD}e")
    #expect(try stream.append(bytes[3]) == "")
    #expect(try stream.finish() == "A")
  }

  @Test("a long word takes n log n steps, and many runs of anything are split")
  func longWords() throws {
    let tokenizer = try Pipeline.open("gpt2")
    let letters = String(repeating: "abcdefghij", count: 20_000)
    #expect(try tokenizer.decode(tokenizer.encode(letters)) == letters)
    // runs that would each fill the stack of an engine that notes every step of them
    for text in [" ", "\n", "a", "é", "'", "層"].map({ String(repeating: $0, count: 50_000) }) {
      for name in ["gpt2", "o200k", "deepseek", "llama2"] {
        let tokenizer = try Pipeline.open(name)
        let ids = try tokenizer.encode(text + "x", addingSpecialTokens: false)
        #expect(same(try tokenizer.decode(ids), text + "x"), "\(name)")
      }
    }
  }

  @Test("combining marks are sorted in n log n steps")
  func manyMarks() throws {
    let tokenizer = try Pipeline.open("gpt_neox")
    let marks = String(repeating: "\u{301}\u{316}", count: 100_000)
    let decoded = try tokenizer.decode(tokenizer.encode("e" + marks + "x"))
    #expect(decoded.unicodeScalars.first == "é")
    #expect(decoded.unicodeScalars.count == 200_001)
    let values = decoded.unicodeScalars.dropFirst().dropLast().map(\.value)
    #expect(
      values == Array(repeating: 0x316, count: 100_000) + Array(repeating: 0x301, count: 99_999))
  }
}
