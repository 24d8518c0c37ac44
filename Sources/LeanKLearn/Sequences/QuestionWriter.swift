import LeanKDecoder

/// The words of one retrieval sample: facts, a question about some of them, and its answer.
struct QuestionWriter {
  /// How facts and questions are worded.
  struct Wording: Sendable {
    let fact: @Sendable (_ key: String, _ value: String) -> String
    let question: @Sendable (_ key: String) -> String
  }

  /// Those that are asked for come first.
  let facts: [String]
  /// How many of the facts the question needs.
  let asked: Int
  /// Up to where the answer begins.
  let question: String
  /// With the space before it.
  let answer: String

  /// Four digits: long enough not to be guessed, short enough for small models.
  private static let values = 1000...9999
  /// Tokens that a fact takes, about.
  private static let factTokens = 20

  init(
    _ kind: RetrievalSamples.Kind, context: Int, _ random: inout SplitMix64
  ) {
    let count =
      switch kind {
      case .single: 1
      case .several: 4
      case .manyDistractors: min(32, max(4, context / 16 / Self.factTokens))
      }
    let wording = Self.wordings[random.below(Self.wordings.count)]
    let keys = random.distinct(count, below: Self.adjectives.count * Self.nouns.count).map {
      Self.adjectives[$0 / Self.nouns.count] + "-" + Self.nouns[$0 % Self.nouns.count]
    }
    let values = keys.map { _ in
      String(Self.values.lowerBound + random.below(Self.values.count))
    }
    facts = zip(keys, values).map { wording.fact($0, $1) }
    asked = kind == .several ? 2 : 1
    var question = ""
    for index in 0..<asked - 1 {
      question += wording.question(keys[index]) + " " + values[index] + "."
    }
    self.question = question + wording.question(keys[asked - 1])
    answer = " " + values[asked - 1]
  }

  static let wordings = [
    Wording { key, value in
      " The key of \(key) is \(value)."
    } question: { key in
      " Question: What is the key of \(key)? Answer: The key of \(key) is"
    },
    Wording { key, value in
      "\nThe access code for \(key) is \(value).\n"
    } question: { key in
      "\n\nQuestion: What is the access code for \(key)? Answer: The access code for \(key) is"
    },
    Wording { key, value in
      "\nRemember that the password of \(key) is \(value).\n"
    } question: { key in
      "\n\nQuestion: What is the password of \(key)? Answer: The password of \(key) is"
    },
  ]

  private static let adjectives = [
    "amber", "azure", "bold", "bright", "calm", "clever", "crimson", "distant", "early", "frozen",
    "gentle", "golden", "grand", "hollow", "humble", "ivory", "jolly", "lively", "mellow", "noble",
    "olive", "patient", "quiet", "rapid", "royal", "scarlet", "silver", "tender", "vivid", "young",
  ]

  private static let nouns = [
    "anchor", "basket", "bridge", "candle", "canyon", "castle", "desert", "dragon", "engine",
    "feather", "fountain", "forest", "garden", "glacier", "hammer", "harbor", "island", "jungle",
    "kettle", "ladder", "lantern", "market", "meadow", "mirror", "mountain", "orchard", "parrot",
    "planet", "river", "temple", "tunnel", "valley", "violin", "window",
  ]
}
