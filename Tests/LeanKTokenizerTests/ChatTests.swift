import ByteIO
import LeanKTokenizer
import StrictJSON
import TestSupport
import Testing

@Suite("Chat templates, beside transformers")
struct ChatTests {
  private static let day = ChatDate(year: 2026, month: 7, day: 4)
  static let names = [
    "chatml", "chatml_default", "chatml_tools", "llama3", "llama3_date", "gemma", "gemma_prefix",
    "mistral", "mistral_system", "inst_sys", "space", "words",
  ]

  private func conversations() throws -> [[ChatMessage]] {
    try #require(Pipeline.json("chats.json")["conversations"]).values.map { conversation in
      try conversation.values.map {
        ChatMessage(
          role: try #require($0["role"]?.string), content: try #require($0["content"]?.string))
      }
    }
  }

  private func entry(_ name: String) throws -> JSONValue {
    let templates = try #require(Pipeline.json("chats.json")["templates"])
    return try #require(templates.values.first { $0["name"]?.string == name })
  }

  @Test("the same text, or the same refusal", arguments: names)
  func render(name: String) throws {
    let entry = try entry(name)
    let template = try ChatTemplate(
      try #require(entry["template"]?.string),
      specialTokens: ["bos_token": "<s>", "eos_token": "</s>"])
    var rendered = 0
    for (key, opening) in [("opened", true), ("closed", false)] {
      for (messages, expected) in zip(try conversations(), try #require(entry[key]).values) {
        if let text = expected.string {
          let found = try template.render(
            messages, addingGenerationPrompt: opening, today: Self.day)
          #expect(same(found, text), "\(name) \(messages)")
          rendered += 1
        } else {
          #expect(throws: TokenizerError(.messages, ""), "\(name) \(messages)") {
            try template.render(messages, addingGenerationPrompt: opening, today: Self.day)
          }
        }
      }
    }
    #expect(rendered >= 6)
  }

  @Test func everyTemplateIsTested() throws {
    let names = try #require(Pipeline.json("chats.json")["templates"]).values.map {
      $0["name"]?.string ?? ""
    }
    #expect(names == Self.names)
  }

  @Test(
    "what is not known is refused by name, with the way out",
    arguments: [
      "{% macro f() %}{% endmacro %}", "{% include 'x' %}",
      "{% for a, b in messages %}{% endfor %}",
      "{{ messages | tojson }}", "{{ messages | selectattr('role') }}", "{{ messages }}",
      "{{ messages[::2] }}", "{{ 1.5 }}", "{{ 7 / 2 }}", "{{ 'a\\x41' }}", "{{ range(3) }}",
      "{{ messages.keys() }}", "{{ 'a'.title() }}", "{{ 'a'", "{% if true %}", "{# no end",
      "{{ 'a }}", "{% endfor %}", "{{ 1 < 2 < 3 }}", "{% for m in 'abc' %}{% endfor %}",
      "{% set a.b = 1 %}", "{{ strftime_now('%H') }}", "{% break %}", "{% set a, b = 1 %}",
      "{{ messages is sameas messages }}", "{{ a b }}", "{{ }}", "{% %}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ foo('x') }}",
    ])
  func unsupported(text: String) {
    #expect {
      try ChatTemplate(text).render([ChatMessage(role: "user", content: "x")])
    } throws: { error in
      let error = error as? TokenizerError
      return error == TokenizerError(.unsupportedTemplate, "")
        && error?.detail.contains("--prompt") == true && error?.failureClass == .unsupported
    }
  }

  @Test(
    "templates that would take for ever, or all memory, stop",
    arguments: [
      "{% set x = 'ab' %}" + String(repeating: "{% set x = x + x %}", count: 60),
      "{% set x = [1, 2] %}" + String(repeating: "{% set x = x + x %}", count: 60),
      "{% set l = [1,2,3,4,5,6,7,8,9,10] %}"
        + String(repeating: "{% for a in l %}", count: 9)
        + String(repeating: "{% endfor %}", count: 9),
      String(repeating: "{% if true %}", count: 5000),
      "{{ " + String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000)
        + "}}",
      "{{ " + String(repeating: "'a' + ", count: 5000) + "'a' }}",
      String(repeating: " ", count: ChatTemplate.byteLimit + 1),
    ])
  func limits(text: String) {
    #expect(throws: TokenizerError(.tooLarge, "")) {
      try ChatTemplate(text).render([ChatMessage(role: "user", content: "x")])
    }
  }

  @Test("a directory's template and tokens are found where models have them")
  func directories() throws {
    let directory = try TemporaryDirectory()
    let handle = try DirectoryHandle(path: directory.path)
    let messages = [ChatMessage(role: "user", content: "x")]
    func open() throws -> ChatTemplate { try ChatTemplate(directory: handle) }
    #expect(throws: TokenizerError(.missingKey, "")) { try open() }
    func configure(_ text: String) throws {
      try directory.write(Array(text.utf8), to: "tokenizer_config.json")
    }
    try configure(#"{"bos_token": "<b>"}"#)
    #expect(throws: TokenizerError(.missingKey, "")) { try open() }
    try configure(
      #"{"bos_token": {"content": "<b>"}, "eos_token": null, "chat_template": "{{ bos_token }}{{ eos_token }}{{ messages[0].content }}"}"#
    )
    #expect(try open().render(messages) == "<b>x")
    try configure(
      #"{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}"#
    )
    #expect(try open().render(messages) == "d")
    try configure(#"{"bos_token": "<b>", "chat_template": [{"name": "rag", "template": "t"}]}"#)
    #expect(throws: TokenizerError(.unsupportedTemplate, "")) { try open() }
    try configure(#"{"bos_token": "<b>", "chat_template": "old"}"#)
    try directory.write(Array("new {{ bos_token }}\n".utf8), to: "chat_template.jinja")
    #expect(try open().render(messages) == "new <b>")
    try directory.write([0xFF], to: "chat_template.jinja")
    #expect(throws: TokenizerError(.wrongType, "")) { try open() }
    try configure(#"{"bos_token": 1}"#)
    #expect(throws: TokenizerError(.wrongType, "")) { try open() }
  }

  @Test("end tokens come from the generation's configuration, else from the model's")
  func endTokens() throws {
    let directory = try TemporaryDirectory()
    let handle = try DirectoryHandle(path: directory.path)
    func read() throws -> [Int] { try EndTokens(directory: handle).ids }
    #expect(try read() == [])
    try directory.write(Array(#"{"eos_token_id": 7}"#.utf8), to: "config.json")
    #expect(try read() == [7])
    try directory.write(
      Array(#"{"text_config": {"eos_token_id": [3, 1, 3]}}"#.utf8), to: "config.json")
    #expect(try read() == [1, 3])
    try directory.write(Array(#"{"eos_token_id": null}"#.utf8), to: "generation_config.json")
    #expect(try read() == [1, 3])
    try directory.write(
      Array(#"{"eos_token_id": [128009, 128001]}"#.utf8), to: "generation_config.json")
    #expect(try read() == [128001, 128009])
    #expect(try EndTokens(directory: handle).contains(128009))
    for bad in ["true", "[1, null]", "-1", "1.5", "\"2\""] {
      try directory.write(Array("{\"eos_token_id\": \(bad)}".utf8), to: "generation_config.json")
      #expect(throws: TokenizerError(.wrongType, "")) { try read() }
    }
  }
}
