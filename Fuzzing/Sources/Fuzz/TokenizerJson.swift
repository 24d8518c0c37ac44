import LeanKTokenizer

/// A tokenizer that is read encodes and decodes texts or refuses them, and a stream of the ids says what
/// they decode to. What follows the first NUL is one of the texts.
func tokenizerJson(_ bytes: [UInt8]) {
  let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
  guard let tokenizer = try? Tokenizer(Array(parts[0])) else { return }
  var texts = ["The key's 12,\n\n  caf\u{E9} e\u{301} \u{5C64}\u{1F600} <s>", "aaaaaaaaaaaa  \r\n"]
  if parts.count > 1 { texts.append(String(decoding: parts[1], as: UTF8.self)) }
  var encoder = TextEncoder(tokenizer)
  for text in texts {
    guard let ids = try? encoder.encode(text) else { continue }
    precondition((try? tokenizer.encode(text)) == ids, "words that are known encode differently")
    precondition(ids.allSatisfy { tokenizer.token($0) != nil }, "an id without a token")
    guard let whole = try? tokenizer.decode(ids, skippingSpecialTokens: true) else { continue }
    var stream = TextStream(tokenizer)
    var streamed = ""
    for id in ids {
      guard let text = try? stream.append(id) else { return }
      streamed += text
    }
    guard let rest = try? stream.finish() else { return }
    precondition((streamed + rest).utf8.elementsEqual(whole.utf8), "a stream of another text")
  }
}
