import LeanKTokenizer

/// A chat template renders conversations or refuses them, the same way each time.
func chatTemplate(_ bytes: [UInt8]) {
  guard let text = String(validating: bytes, as: UTF8.self),
    let template = try? ChatTemplate(text, specialTokens: ["bos_token": "<s>"])
  else { return }
  let day = ChatDate(year: 2026, month: 7, day: 4)
  let turns = [("system", "Be brief. "), ("user", " Hi\n"), ("assistant", "<think>a</think> b")]
  let messages = turns.map { ChatMessage(role: $0.0, content: $0.1) }
  for messages in [messages, Array(messages.dropFirst()), []] {
    let first = try? template.render(messages, today: day)
    precondition(first == (try? template.render(messages, today: day)), "rendered differently")
  }
}
