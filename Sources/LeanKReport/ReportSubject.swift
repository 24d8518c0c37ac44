public import LeanKMask

/// A mask with all that a report says about it.
public struct ReportSubject: Sendable {
  public let document: MaskDocument
  public let profile: MaskProfile
  public let cost: CacheCost
  public let scores: ScoreDistribution?
  public let facts: CheckpointFacts
  /// What the user called it: a path.
  public let title: String
  public let contentID: String?
  public let fileBytes: Int?
  /// Context lengths at which a cache is measured, ascending.
  public let contexts: [Int]

  /// Context lengths that a report shows unless the user asks for others.
  public static let standardContexts = [4096, 32768, 131_072]
  /// Largest context length; keeps every product of bytes inside 63 bits.
  public static let contextLimit = 1_000_000_000

  /// `contexts` are clamped to 1...`contextLimit`; none = the standard ones, up to the model's limit.
  public init(
    _ document: MaskDocument, title: String, contentID: String? = nil, fileBytes: Int? = nil,
    facts: CheckpointFacts = CheckpointFacts(), contexts: [Int] = []
  ) {
    self.document = document
    self.title = title
    self.contentID = contentID
    self.fileBytes = fileBytes
    self.facts = facts
    profile = MaskProfile(of: document.mask)
    cost = CacheCost(of: document.mask, facts: facts)
    scores = ScoreDistribution(of: document)
    if contexts.isEmpty {
      let limit = facts.contextLimit.map { max(1, min($0, Self.contextLimit)) }
      let within = Self.standardContexts.filter { $0 < limit ?? .max }
      self.contexts = Array(Set(within + (limit.map { [$0] } ?? []))).sorted().suffix(3)
    } else {
      self.contexts = Array(Set(contexts.map { max(1, min($0, Self.contextLimit)) })).sorted()
    }
  }

  /// The checkpoint's name, else the one the file records.
  public var modelName: String? { facts.modelName ?? document.provenance[Provenance.model] }

  /// The window of windowed mode: the recorded one, else LeanK's own.
  public var window: AttentionWindow { document.deployment?.window ?? .standard }
}

/// One shape for all layers, or what can be said of several.
func geometryText(_ mask: ChannelMask) -> String {
  let geometries = mask.layers.map(\.geometry)
  let kinds = Set(geometries)
  guard kinds.count == 1, let first = geometries.first else {
    return "\(geometries.count) layers of \(kinds.count) shapes"
  }
  let shape =
    "\(counted(geometries.count, "layer")) of \(counted(first.kvHeads, "KV head")) of "
    + counted(first.headDim, "channel")
  guard let attention = first.attention else {
    return shape + "; query heads and RoPE not recorded"
  }
  let rotary =
    attention.rotary.width == 0
    ? "no RoPE" : "\(attention.rotary.pairing.rawValue) pairs over \(attention.rotary.width)"
  return shape + ", \(counted(attention.queryHeads, "query head")), \(rotary)"
}

/// `1 layer`, `2,048 layers`
func counted(_ number: Int, _ noun: String) -> String {
  Formatting.count(number) + " " + noun + (number == 1 ? "" : "s")
}

/// What a mask is for, in words.
func deploymentText(_ deployment: DeploymentHints?) -> String {
  switch deployment {
  case nil: "not recorded"
  case .static: "static: every query and key uses the kept channels only"
  case .windowed(let window):
    "windowed: sink \(window.sink), recent \(window.recent), accumulate \(window.accumulate)"
  }
}
