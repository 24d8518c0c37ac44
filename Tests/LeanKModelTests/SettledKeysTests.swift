import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKModel
import TestSupport
import Testing

/// `Fixtures/Configurations/settled.json` says of each key that a family's class in transformers
/// knows what leank does with it. The lists of keys are transformers' own.
@Suite struct SettledKeysTests {
  /// Answers by key, for one family.
  typealias Answers = [String: String]

  static func lists(_ name: String) throws -> [String: [String]] {
    try ConfigurationPatch.object("Configurations/\(name)").compactMapValues { $0 as? [String] }
  }

  /// What is settled for `family`: its own answers before those for all.
  static func answers(_ family: String) throws -> Answers {
    let table = try ConfigurationPatch.object("Configurations/settled.json")
    let isWrapper = ModelFamily.wrappers.flatMap(\.modelTypes).contains(family)
    var result: Answers = [:]
    for scope in ["*", isWrapper ? "wrappers" : "families", family] {
      for (answer, keys) in table[scope] as? [String: [String]] ?? [:] {
        for key in keys { result[key] = answer }
      }
    }
    return result
  }

  @Test(arguments: ["keys_4.json", "keys_5.json"])
  func everyKeyIsSettled(list: String) throws {
    let known = try Self.lists(list)
    let common = try #require(known["*"])
    let families = (ModelFamily.all + ModelFamily.wrappers).flatMap(\.modelTypes)
    #expect(Set(known.keys).subtracting(["*"]) == Set(families))
    for family in families {
      let answers = try Self.answers(family)
      let isWrapper = ModelFamily.wrappers.flatMap(\.modelTypes).contains(family)
      let keys = try (isWrapper ? [] : common) + #require(known[family])
      for key in keys {
        #expect(answers[key] != nil, "\(family): \(key) of transformers is not settled")
      }
    }
    for scope in try ConfigurationPatch.object("Configurations/settled.json").values {
      for answer in (scope as? [String: Any] ?? [:]).keys {
        #expect(["read", "ignored", "refused"].contains(answer))
      }
    }
  }

  /// Families of which there is a checkpoint, with its name.
  static let fixtures: [(family: String, reference: String)] = {
    var result: [String: String] = [:]
    for reference in Reference.all.reversed() {
      guard let patch = try? ConfigurationPatch(reference.name) else { continue }
      result[patch.modelType] = reference.name
    }
    return result.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }()

  /// A key that is ignored may be anything; one that is read must not be a list of lists, in one at
  /// least of the configurations in which the key counts.
  @Test(arguments: fixtures) func answersAreTrue(family: String, reference: String) throws {
    let tensors = try CheckpointDirectory(path: Fixtures.path("Reference/\(reference)")).tensorNames
    func describe(_ patch: ConfigurationPatch) throws -> DescribedModel {
      try DescribedModel(
        configuration: try ModelConfiguration(try patch.bytes, path: "config.json"),
        tensorNames: tensors)
    }
    let bases = try Self.bases(reference).filter { (try? describe($0)) != nil }
    let plain = try bases.map(describe)
    #expect(plain.count >= 3)
    for (key, answer) in try Self.answers(family) where key != "model_type" {
      var isRead = false
      for (base, expected) in zip(bases, plain) {
        var patch = base
        patch.set(key, to: [[0]])
        do {
          isRead = try describe(patch) != expected || isRead
        } catch {
          isRead = true
        }
      }
      #expect(isRead == (answer != "ignored"), "\(family): \(key) is to be \(answer)")
    }
  }

  /// Configurations of one model in which different keys count.
  private static func bases(_ reference: String) throws -> [ConfigurationPatch] {
    let five = try ConfigurationPatch(reference)
    let four = try ConfigurationPatch(reference, .transformers4)
    var bare = four
    for key in ["rope_theta", "rotary_emb_base", "rotary_pct", "partial_rotary_factor"] {
      bare.set(key, to: nil)
    }
    for key in ["layer_types", "no_rope_layers", "rope_scaling"] { bare.set(key, to: nil) }
    bare.set("use_sliding_window", to: true)
    bare.set("sliding_window", to: 8)
    bare.set("multi_query", to: false)
    bare.set("num_kv_heads", to: nil)
    var scaled = bare
    scaled.set(
      "rope_scaling",
      to: reference.hasPrefix("phi3")
        ? four.root["rope_scaling"] : ["rope_type": "yarn", "factor": 4.0] as [String: Any])
    scaled.set("original_max_position_embeddings", to: nil)
    return [five, four, bare, scaled]
  }
}
