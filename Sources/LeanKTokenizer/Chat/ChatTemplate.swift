public import ByteIO
import Foundation
import StrictJSON

/// One turn of a conversation.
public struct ChatMessage: Sendable, Hashable {
  /// `system`, `user` or `assistant`.
  public var role: String
  public var content: String

  public init(role: String, content: String) {
    self.role = role
    self.content = content
  }
}

/// The day on which a template is rendered, for those that write it.
public struct ChatDate: Sendable, Hashable {
  public let year: Int
  public let month: Int
  public let day: Int

  /// A day of the Gregorian calendar, months and days from 1.
  public init(year: Int, month: Int, day: Int) {
    self.year = year
    self.month = month
    self.day = day
  }

  /// Today, where the process is.
  public static var today: ChatDate {
    let parts = Calendar(identifier: .gregorian).dateComponents(
      [.year, .month, .day], from: Date())
    return ChatDate(year: parts.year ?? 1970, month: parts.month ?? 1, day: parts.day ?? 1)
  }

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
  ]

  func formatted(_ format: String) throws(TokenizerError) -> String {
    var result = ""
    var scalars = format.unicodeScalars[...]
    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
    while let scalar = scalars.popFirst() {
      guard scalar == "%" else {
        result.unicodeScalars.append(scalar)
        continue
      }
      switch scalars.popFirst() {
      case "d": result += two(day)
      case "m": result += two(month)
      case "Y": result += String(year)
      case "B": result += Self.months[min(max(month, 1), 12) - 1]
      case "b": result += Self.months[min(max(month, 1), 12) - 1].prefix(3)
      case "%": result += "%"
      default: throw TemplateLexer.unsupported("the date format \(quoted(format))")
      }
    }
    return result
  }
}

/// The chat template of a model: how a conversation becomes the text that the model was trained on.
///
/// Templates are Jinja. This runs as much of it as those of ChatML, Llama 3, Gemma, Mistral and their
/// kin use: texts, `if`, `for`, `set`, namespaces, the usual operators, filters and methods. Whatever
/// else a template reaches is refused by name before anything is returned, so that no model gets half
/// a prompt.
public struct ChatTemplate: Sendable {
  public static let fileName = "chat_template.jinja"
  public static let configurationName = "tokenizer_config.json"
  /// Longest template, and longest configuration, in bytes.
  public static let byteLimit = 1 << 20
  public static let configurationLimit = 16 << 20

  private let statements: [TemplateStatement]
  /// `bos_token` and its kin, by their names.
  public let specialTokens: [String: String]

  /// Reads the template `text`. `specialTokens` are what it may write of the tokenizer's, by name:
  /// `bos_token`, `eos_token` and their kin.
  public init(_ text: String, specialTokens: [String: String] = [:]) throws(TokenizerError) {
    guard text.utf8.count <= Self.byteLimit else {
      throw TokenizerError(
        .tooLarge, "a chat template of more than \(Self.byteLimit) bytes")
    }
    statements = try TemplateParser.parse(text)
    self.specialTokens = specialTokens
  }

  /// Reads the template of a model's directory, from `chat_template.jinja` or else from
  /// `tokenizer_config.json`.
  ///
  /// Fails with `.missingKey` where there is none.
  public init(directory: DirectoryHandle) throws(TokenizerError) {
    let configuration = try ChatConfiguration(directory)
    guard let template = configuration.template else {
      throw TokenizerError(
        .missingKey,
        "the model has no chat template, neither \(Self.fileName) nor one in \(Self.configurationName); give the text the model expects with --prompt",
        in: directory.path)
    }
    do throws(TokenizerError) {
      try self.init(template.text, specialTokens: configuration.specialTokens)
    } catch {
      throw error.located(in: template.path)
    }
  }

  /// The text of a conversation, with the opening of the assistant's turn unless told otherwise.
  ///
  /// Fails with `.messages` where the template says that it does not take such a conversation.
  public func render(
    _ messages: [ChatMessage], addingGenerationPrompt: Bool = true, today: ChatDate = .today
  ) throws(TokenizerError) -> String {
    var variables: [String: TemplateValue] = [
      "messages": .list(
        messages.map {
          .dictionary([("role", .string($0.role)), ("content", .string($0.content))])
        }),
      "add_generation_prompt": .bool(addingGenerationPrompt), "tools": .none, "documents": .none,
    ]
    for (name, token) in specialTokens { variables[name] = .string(token) }
    var renderer = TemplateRenderer(variables: variables, today: today)
    try renderer.run(statements)
    return renderer.output
  }
}

/// What a model's directory says of its template and the tokens that it writes.
private struct ChatConfiguration {
  var template: (text: String, path: String)?
  var specialTokens: [String: String] = [:]

  private static let tokenNames = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  init(_ directory: DirectoryHandle) throws(TokenizerError) {
    if let (bytes, path) = try Self.file(
      ChatTemplate.configurationName, in: directory, limit: ChatTemplate.configurationLimit)
    {
      let root: JSONValue
      do throws(JSONError) {
        root = try JSONDocument(bytes, path: path).root
      } catch {
        throw TokenizerError(error)
      }
      let part = try FilePart(root, "", path: path)
      for name in Self.tokenNames { specialTokens[name] = try Self.token(name, in: part) }
      template = try Self.template(in: part).map { ($0, path) }
    }
    // the file counts where both are there
    if let (bytes, path) = try Self.file(
      ChatTemplate.fileName, in: directory, limit: ChatTemplate.byteLimit)
    {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw TokenizerError(.wrongType, "the chat template is not UTF-8", in: path)
      }
      template = (text, path)
    }
  }

  private static func file(
    _ name: String, in directory: DirectoryHandle, limit: Int
  ) throws(TokenizerError) -> ([UInt8], String)? {
    do throws(FileError) {
      guard try directory.kind(of: name) != nil else { return nil }
      let file = try PositionalFile(name: name, in: directory)
      let bytes = try file.contents(limit: limit)
      try file.checkUnchanged()
      return (bytes, file.path)
    } catch {
      throw TokenizerError(error)
    }
  }

  /// A token's text, written as such or in an object.
  private static func token(_ name: String, in part: FilePart) throws(TokenizerError) -> String? {
    guard let member = part.member(name) else { return nil }
    guard member.kind == .object else { return try part.text(name) }
    return try part.part(name)?.text("content")
  }

  /// The template, or of several that are named the one called default.
  private static func template(in part: FilePart) throws(TokenizerError) -> String? {
    guard let member = part.member("chat_template") else { return nil }
    guard member.kind == .array else {
      return try part.text("chat_template", limit: ChatTemplate.byteLimit)
    }
    for entry in try part.parts("chat_template") where try entry.kind("name") == "default" {
      return try entry.text("template", limit: ChatTemplate.byteLimit)
    }
    throw part.error(
      .unsupportedTemplate, "several chat templates, none of them called default",
      at: "chat_template")
  }
}
