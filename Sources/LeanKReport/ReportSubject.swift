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
  /// Context lengths of a curve of the cache's size, each twice the one before.
  public var curve: [Int] {
    let longest = max(131_072, contexts.last ?? 0)
    var lengths = [1024]
    while let last = lengths.last, last < longest { lengths.append(last * 2) }
    return lengths
  }

  /// Largest context length; keeps every product of bytes inside 63 bits.
  public static let contextLimit = 1_000_000_000

  /// `contexts`: lengths asked for, none = the standard ones, up to the model's limit.
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
    cost = CacheCost(
      of: document.mask, elementBytes: facts.elementBytes, slidingWindows: facts.slidingWindows,
      valueDims: facts.valueDims,
      cachedKeys: facts.cachedKeys)
    scores = ScoreDistribution(of: document)
    self.contexts = Self.contexts(contexts, limit: facts.contextLimit)
  }

  /// The lengths `asked` for, clamped to 1...`contextLimit`; none = the standard ones, up to `limit`,
  /// the model's. Ascending.
  public static func contexts(_ asked: [Int], limit: Int?) -> [Int] {
    guard asked.isEmpty else {
      return Array(Set(asked.map { max(1, min($0, contextLimit)) })).sorted()
    }
    let limit = limit.map { max(1, min($0, contextLimit)) }
    let within = standardContexts.filter { $0 < limit ?? .max }
    return Array(Set(within + (limit.map { [$0] } ?? []))).sorted().suffix(3)
  }

  /// `title` without its folders: pages and pictures are passed on, and a path tells of a machine.
  var fileName: String { title.split(separator: "/").last.map(String.init) ?? title }

  /// What a page or picture is headed with.
  var heading: String { modelName ?? fileName }

  /// The file and its shape, under a heading.
  var subheading: String {
    (modelName == nil ? "" : fileName + ": ")
      + GeometryText.lines(document.mask, limit: 4).joined(separator: "; ")
  }

  /// The checkpoint's name, else the one the file records.
  public var modelName: String? { facts.modelName ?? document.provenance[Provenance.model] }

  /// The modes in which a cache can be used, as far as the layout leaves a choice; none where it
  /// holds whole keys in any.
  var modes: [MaskMode] {
    switch facts.cachedKeys {
    case .kept: [.static, .windowed]
    case .keptStatic: [.static]
    case .whole: []
    }
  }

  /// The window of windowed mode: the recorded one, else LeanK's own.
  public var window: AttentionWindow { document.deployment?.window ?? .standard }
}

/// `1 layer`, `2,048 layers`
public func counted(_ number: Int, _ noun: String) -> String {
  Formatting.count(number) + " " + noun + (number == 1 ? "" : "s")
}

/// What a mask is for, in words.
public func deploymentText(_ deployment: DeploymentHints?) -> String {
  switch deployment {
  case nil: "not recorded"
  case .static: "static: every query and key uses the kept channels only"
  case .windowed(let window):
    "windowed: sink \(window.sink), recent \(window.recent), accumulate \(window.accumulate)"
      + (window.prefill == .dense ? "" : ", prefill \(window.prefill.rawValue)")
      + (window.emptyHeads == .absent ? "" : ", empty heads \(window.emptyHeads.rawValue)")
  }
}
