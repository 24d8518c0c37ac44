import ByteIO
import Foundation
import Testing

@testable import StrictJSON

@Suite("Strict JSON")
struct JSONDocumentTests {
  private func parse(_ text: String) throws -> JSONValue { try JSONDocument(Array(text.utf8)).root }

  private func error(_ bytes: [UInt8]) -> JSONError? {
    do throws(JSONError) {
      _ = try JSONDocument(bytes)
      return nil
    } catch {
      return error
    }
  }

  @Test("values keep order, text and place")
  func values() throws {
    let root = try parse(
      #" {"b": [1, -2.50, 1e3], "a": {"x": null, "y": true}, "s": "é\n\ud83d\ude00"} "#)
    #expect(root.children.map(\.key) == ["b", "a", "s"])
    let numbers = try #require(root["b"]).children.map(\.value)
    #expect(numbers.map(\.numberText) == ["1", "-2.50", "1e3"])
    #expect(numbers.map(\.integer) == [1, nil, nil])
    #expect(numbers.map(\.double) == [1, -2.5, 1000])
    #expect(root["a"]?["x"]?.isNull == true)
    #expect(root["a"]?["y"]?.bool == true)
    #expect(root["a"]?["y"]?.integer == nil)
    #expect(root["s"]?.string == "é\n😀")
    #expect(root["missing"] == nil)
    #expect(root["b"]?.byteRange == 7..<22)
    #expect(root.count == 3)
  }

  @Test("numbers past the range of a type are not rounded into it")
  func extremes() throws {
    #expect(try parse("9223372036854775807").integer == Int.max)
    #expect(try parse("9223372036854775808").integer == nil)
    #expect(try parse("1e400").double == nil)
    #expect(try parse("-0").integer == 0)
  }

  @Test(
    "what RFC 8259 forbids is refused, with its place",
    arguments: [
      ("", JSONCode.unexpectedEnd, 0), ("{", .unexpectedEnd, 1), ("[1", .unexpectedEnd, 2),
      ("\"ab", .unexpectedEnd, 0), ("\"\\", .unexpectedEnd, 1), ("\"\\u12", .unexpectedEnd, 1),
      ("[1,]", .unexpectedCharacter, 3),
      ("{\"a\":1,}", .unexpectedCharacter, 7), ("{a:1}", .unexpectedCharacter, 1),
      ("{\"a\" 1}", .unexpectedCharacter, 5), ("[1 2]", .unexpectedCharacter, 3),
      ("{}{}", .trailingText, 2), ("1 x", .trailingText, 2), ("nul", .unexpectedCharacter, 0),
      ("NaN", .unexpectedCharacter, 0), ("Infinity", .unexpectedCharacter, 0),
      ("/*c*/1", .unexpectedCharacter, 0), ("'a'", .unexpectedCharacter, 0),
      ("01", .invalidNumber, 0), ("-", .invalidNumber, 0), ("1.", .invalidNumber, 0),
      ("1e", .invalidNumber, 0), (".5", .unexpectedCharacter, 0), ("+1", .unexpectedCharacter, 0),
      ("\"\\x\"", .invalidEscape, 1), ("\"\\u12g4\"", .invalidEscape, 1),
      ("\"\\ud800\"", .loneSurrogate, 1), ("\"\\ud800\\u0041\"", .loneSurrogate, 1),
      ("\"\\udc00\"", .loneSurrogate, 1), ("\"a\u{1}\"", .controlCharacter, 2),
      ("{\"a\":1,\"\\u0061\":2}", .duplicateKey, 7), ("\u{FEFF}{}", .byteOrderMark, 0),
    ])
  func refusals(text: String, code: JSONCode, offset: Int) {
    let found = error(Array(text.utf8))
    #expect(found?.code == code)
    #expect(found?.location == .byte(offset))
  }

  @Test(
    "strings have to be UTF-8",
    arguments: [[0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]])
  func encoding(bytes: [UInt8]) {
    #expect(error([0x22] + bytes + [0x22])?.code == .notUTF8)
  }

  @Test("nesting stops at the limit, however deep the text", arguments: [65, 200_000])
  func depth(levels: Int) throws {
    let text = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    #expect(error(Array(text.utf8))?.code == .tooDeep)
  }

  @Test("more combining characters in a row than any language writes are refused")
  func combiningRuns() throws {
    let run = String(repeating: "\u{301}\u{316}", count: 15)
    #expect(try parse("{\"a\(run)b\(run)\": \"\(run)\"}").count == 1)
    #expect(error(Array("{\"a\(run)\u{301}\": 1}".utf8))?.code == .combiningRun)
    #expect(error(Array("[\"a\(run)\\u0301\"]".utf8))?.code == .combiningRun)
  }

  @Test("texts of nothing but small values are refused before they grow to many times their size")
  func manyValues() {
    let dense = "[0" + String(repeating: ",0", count: 20_000) + "]"
    #expect(error(Array(dense.utf8))?.code == .tooManyValues)
    #expect(error(Array(dense.utf8))?.failureClass == .limitExceeded)
    #expect((try? JSONDocument(Array(dense.utf8), valueLimit: 20_002))?.root.count == 20_001)
    #expect((try? JSONDocument(Array(dense.utf8), valueLimit: 20_001)) == nil)
    let few = "[0" + String(repeating: ",0", count: 1000) + "]"
    #expect(error(Array(few.utf8)) == nil)
    let long = "[0" + String(repeating: ",1234567890", count: 20_000) + "]"
    #expect(error(Array(long.utf8)) == nil)
  }

  @Test("a key takes as long in an object of many as in one of few")
  func manyKeys() throws {
    func text(_ count: Int, _ more: String = "") -> [UInt8] {
      let members = (0..<count).map { "\"key number \($0)\":[\($0)]" }
      return Array("{\(members.joined(separator: ","))\(more)}".utf8)
    }
    func seconds(_ text: [UInt8]) throws -> Double {
      let start = Self.threadSeconds
      #expect(try JSONDocument(text).root.count > 0)
      return Self.threadSeconds - start
    }
    // four times the keys: sixteen times the time where each key costs as much as all before it
    #expect(try seconds(text(40_000)) < 9 * seconds(text(10_000)))
    let root = try JSONDocument(text(40_000)).root
    #expect(root.count == 40_000)
    #expect(root["key number 39999"]?.children.map(\.value.integer) == [39_999])
    for again in ["key number 0", "key number 63", "key n\\u0075mber 39999"] {
      let twice = text(40_000, ",\"\(again)\":0")
      let found = error(twice)
      #expect(found?.code == .duplicateKey, "\(again)")
      #expect(found?.location == .byte(twice.count - again.utf8.count - 5))
    }
  }

  /// What this thread has computed so far.
  private static var threadSeconds: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  @Test("children of containers in containers")
  func siblings() throws {
    let root = try parse(#"[[], {}, [[1], []], {"a": {"b": []}, "c": 2}, 3]"#)
    #expect(root.children.map(\.value.kind) == [.array, .object, .array, .object, .number])
    #expect(root.children.map(\.value.count) == [0, 0, 2, 2, 0])
    let inner = try #require(root.children.map(\.value)[3]["a"])
    #expect(inner.children.map(\.key) == ["b"] && inner["b"]?.count == 0)
    #expect(root.children.map(\.value)[3]["c"]?.integer == 2)
    #expect(root.count == 5)
  }

  @Test("members are found by their decoded names")
  func members() throws {
    let root = try parse(#"{"a": 1, "a\\b": 2, "\u0061b": 3, "": 4, "ab\"": 5}"#)
    #expect(root["a"]?.integer == 1)
    #expect(root["a\\b"]?.integer == 2)
    #expect(root["ab"]?.integer == 3)
    #expect(root[""]?.integer == 4)
    #expect(root["ab\""]?.integer == 5)
    #expect(root["b"] == nil)
    // the Kelvin sign is K to String, not to JSON
    #expect(try parse(#"{"\u212a": 1, "\u212b": 2}"#)["K"] == nil)
    #expect(root.children.map(\.key) == ["a", "a\\b", "ab", "", "ab\""])
  }

  @Test("keys are the same where their bytes are, whatever Unicode holds for equivalent")
  func equivalentKeys() throws {
    // Kelvin sign, Angstrom sign, e and an accent: each is another key to JSON, and to vocabularies
    let root = try parse(#"{"K": 1, "\u212a": 2, "å": 3, "\u212b": 4, "\u00e9": 5, "e\u0301": 6}"#)
    #expect(root.values.map(\.integer) == [1, 2, 3, 4, 5, 6])
    #expect(root["\u{212A}"]?.integer == 2)
    #expect(root["e\u{301}"]?.integer == 6)
    #expect(error(Array(#"{"\u212a": 1, "K": 2}"#.utf8))?.code == .duplicateKey)
    #expect(error(Array(#"{"e\u0301": 1, "é": 2}"#.utf8))?.code == .duplicateKey)
  }

  @Test("members are read as bytes too")
  func memberBytes() throws {
    let root = try parse(#"{"a\n": "x\u00e9", "b": 1}"#)
    var text: [UInt8] = []
    var isString: [Bool] = []
    for value in root.values {
      value.appendKey(to: &text)
      isString.append(value.appendUTF8(to: &text))
    }
    #expect(text == Array("a\nxéb".utf8))
    #expect(isString == [true, false])
    root.appendKey(to: &text)
    #expect(text.count == 6)
    #expect(root.values.map(\.keyBytes) == [7, 5] && root.keyBytes == 0)
  }

  @Test("a reader may allow more combining characters")
  func combiningLimit() throws {
    let run = String(repeating: "\u{301}\u{316}", count: 20)
    let text = Array("[\"\(run)\"]".utf8)
    #expect(try JSONDocument(text, combiningLimit: 40).root.values.map(\.string) == [run])
    #expect(throws: JSONError(.combiningRun, "")) { try JSONDocument(text, combiningLimit: 39) }
  }

  @Test("64 levels are read")
  func deepest() throws {
    var value = try parse(String(repeating: "[", count: 64) + String(repeating: "]", count: 64))
    for _ in 1..<64 { value = try #require(value.children.first { _ in true }?.value) }
    #expect(value.count == 0)
  }

  @Test(
    "written strings read back", arguments: ["", "plain", "\"\\/\n\r\t\u{0}\u{1F}\u{7F}", "層😀"])
  func roundTrip(text: String) throws {
    #expect(try parse(JSONText.quoted(text)).string == text)
  }

  @Test func moreBytesThanNodesCanPointInto() throws {
    try JSONDocument.checkLength((1 << 32) - 1)
    #expect(throws: JSONError(.tooLarge, "")) { try JSONDocument.checkLength(1 << 32) }
  }
}
