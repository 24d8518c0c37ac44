import Foundation
import LeanKCheckpoint
import LeanKDecoder
import LeanKModel
import TensorFiles
import TestSupport

/// Reference checkpoints under changed configurations, and what transformers made of each:
/// `Fixtures/Configurations/cases_5.json` and `cases_4.json`.
struct ConfigurationCases {
  enum Outcome: Equatable {
    /// Logits as with the unchanged configuration.
    case same
    /// It does not load, or not run.
    case error
    /// Tensors of the model are not in the file.
    case partial
    /// The first logits of the last token.
    case logits([Float])

    init?(_ json: Any?) {
      switch json {
      case "same" as String: self = .same
      case "error" as String: self = .error
      case "partial" as String: self = .partial
      case let numbers as [Double]: self = .logits(numbers.map(Float.init))
      default: return nil
      }
    }
  }

  struct Case {
    let name: String
    let configuration: [UInt8]
    /// How embedding and output projection are stored, nil = as they are.
    let ends: String?
    let five: Outcome
    /// Of version 4, where version 5 errs and 4 was asked.
    let four: Outcome?
  }

  static let models: [String] = {
    let all = (try? ConfigurationPatch.object("Configurations/cases_5.json"))?["outcomes"]
    return (all as? [String: Any] ?? [:]).keys.sorted()
  }()

  /// The cases of one reference checkpoint.
  static func of(_ model: String) throws -> [Case] {
    let five = try ConfigurationPatch.object("Configurations/cases_5.json")
    let four = try ConfigurationPatch.object("Configurations/cases_4.json")
    func member(_ file: [String: Any], _ keys: String...) -> [String: Any] {
      keys.reduce(file) { $0[$1] as? [String: Any] ?? [:] }
    }
    let outcomes = member(five, "outcomes", model)
    let older = member(four, "outcomes", model)
    let own = member(five, "own", model)
    let shared = member(five, "patches")
    return try outcomes.keys.sorted().map { name in
      guard let patch = (own[name] ?? shared[name]) as? [String: Any],
        let outcome = Outcome(outcomes[name])
      else { throw FixtureError("no patch of \(name)") }
      return Case(
        name: name, configuration: try apply(patch, to: model), ends: patch["ends"] as? String,
        five: outcome, four: Outcome(older[name]))
    }
  }

  private static func apply(_ patch: [String: Any], to model: String) throws -> [UInt8] {
    var result = try ConfigurationPatch(
      model, patch["dialect"] as? Int == 4 ? .transformers4 : .transformers5)
    var text = result.text
    let isNested = result.root["text_config"] != nil
    for key in patch["without"] as? [String] ?? [] where key != "model_type" || isNested {
      text[key] = nil
    }
    let layers = text["num_hidden_layers"] as? Int ?? 0
    var outer: [String: Any] = [:]
    for (key, value) in patch["set"] as? [String: Any] ?? [:] {
      if key.hasPrefix("^") {
        outer[String(key.dropFirst())] = value
      } else {
        text[key] = expand(value, layers)
      }
    }
    result.text = text
    for (key, value) in outer { result.set(key, to: value) }
    return try result.bytes
  }

  /// A list with an entry for each layer where `value` is one word for it.
  private static func expand(_ value: Any, _ layers: Int) -> Any {
    let words: [String: [Any]] = [
      "@alternate": ["sliding_attention", "full_attention"], "@full": ["full_attention"],
      "@sliding": ["sliding_attention"], "@old": ["attention"], "@chunked": ["chunked_attention"],
      "@unknown": ["foo"], "@linear": ["linear_attention"], "@zero": [0], "@one": [1],
    ]
    guard let word = value as? String, word.hasPrefix("@") else { return value }
    if word == "@short" || word == "@long" {
      return [String](
        repeating: "full_attention", count: word == "@short" ? layers - 1 : layers + 1)
    }
    guard let cycle = words[word] else { return value }
    return (0..<layers).map { cycle[$0 % cycle.count] }
  }
}

/// Tensors of a reference checkpoint with embedding and output projection stored otherwise.
enum StoredEnds {
  /// Writes `folder/model.safetensors` in place of the reference's own weights.
  static func write(_ ends: String, of model: String, to folder: TemporaryDirectory, _ name: String)
    throws
  {
    let directory = try CheckpointDirectory(path: Fixtures.path("Reference/\(model)"))
    var arrays: [(name: String, array: TensorArray)] = []
    for shard in directory.shards {
      arrays += try shard.file.header.tensors.map { ($0.name, try shard.file.array($0)) }
    }
    func find(_ suffixes: [String]) -> Int? {
      arrays.firstIndex { array in suffixes.contains { array.name.hasSuffix($0) } }
    }
    guard
      let embedding = find(["embed_tokens.weight", "word_embeddings.weight", "embed_in.weight"])
    else { throw FixtureError("no embedding in \(model)") }
    let first = arrays[embedding]
    let headIndex = find(["lm_head.weight", "embed_out.weight"])
    let headName =
      headIndex.map { arrays[$0].name }
      ?? (first.name.contains("embed_in") ? "embed_out.weight" : "lm_head.weight")
    let other = headIndex.map { arrays[$0].array } ?? backwards(first.array)
    arrays.removeAll { $0.name == headName }
    switch ends {
    case "both": arrays.append((headName, other))
    case "equal": arrays.append((headName, first.array))
    case "head":
      arrays.removeAll { $0.name == first.name }
      arrays.append((headName, first.array))
    default: break
    }
    try folder.write(encodeSafetensors(arrays), to: name + "/model.safetensors")
  }

  /// The rows from last to first.
  private static func backwards(_ array: TensorArray) -> TensorArray {
    let width = array.bytes.count / max(array.shape[0], 1)
    let rows = (0..<array.shape[0]).reversed().flatMap { row in
      array.bytes[row * width..<(row + 1) * width]
    }
    return TensorArray(scalar: array.scalar, shape: array.shape, bytes: rows)
  }
}
