/// A mask with everything a `.leank` file says about it.
public struct MaskDocument: Sendable, Hashable {
  public var mask: ChannelMask
  public var alignment: Alignment?
  public var scores: ImportanceScores?
  public var deployment: DeploymentHints?
  public var provenance: Provenance

  /// Fails when the scores are not one per channel of the mask.
  public init(
    mask: ChannelMask, alignment: Alignment? = nil, scores: ImportanceScores? = nil,
    deployment: DeploymentHints? = nil, provenance: Provenance = Provenance()
  ) throws(MaskError) {
    if let scores, scores.count != mask.channels {
      throw MaskError(.scores, "\(scores.count) scores for \(mask.channels) channels")
    }
    self.init(
      unscored: mask, alignment: alignment, deployment: deployment, provenance: provenance)
    self.scores = scores
  }

  /// A document without scores, which fits every mask.
  public init(
    unscored mask: ChannelMask, alignment: Alignment? = nil, deployment: DeploymentHints? = nil,
    provenance: Provenance = Provenance()
  ) {
    self.mask = mask
    self.alignment = alignment
    self.deployment = deployment
    self.provenance = provenance
  }
}

/// How kept counts were rounded: every head's |M| is a multiple of `unit`, or all of the head.
public struct Alignment: Sendable, Hashable {
  /// Who chose the channels.
  public enum Rule: String, Sendable, Hashable, CaseIterable {
    /// Recorded as found in an imported mask.
    case given
    /// LeanK's official rule: quantile threshold, nearest multiple per head.
    case leank
    /// Exact budget: groups of `unit` channels chosen over all heads.
    case budget
  }

  /// Channels per block, at least 1; 1 = no alignment.
  public let unit: Int
  public let rule: Rule
  /// Share of channels that the mask was asked to prune, in 0...1; nil when unknown.
  public let targetRatio: Double?

  public init(unit: Int, rule: Rule, targetRatio: Double? = nil) throws(MaskError) {
    guard unit >= 1 else { throw MaskError(.alignment, "alignment unit \(unit) is below 1") }
    if let targetRatio, !(0...1).contains(targetRatio) {
      throw MaskError(.alignment, "target ratio \(targetRatio) is outside 0...1")
    }
    self.unit = unit
    self.rule = rule
    self.targetRatio = targetRatio == 0 ? 0 : targetRatio  // -0 is stored as 0
  }

  /// Whether `head` keeps a multiple of `unit` channels, or all it has.
  public func isMet(by head: ChannelSet) -> Bool {
    let count = head.count
    return count.isMultiple(of: unit) || count == head.width
  }

  public func isMet(by mask: ChannelMask) -> Bool {
    mask.layers.allSatisfy { $0.heads.allSatisfy(isMet(by:)) }
  }
}

/// Where a mask comes from: text by key. No key or value identifies a machine or a time.
public struct Provenance: Sendable, Hashable {
  /// Model the mask was made for, such as `meta-llama/Llama-3.1-8B-Instruct`.
  public static let model = "model"
  /// SHA-256 of that model's config.json, hexadecimal.
  public static let configDigest = "config_sha256"
  /// File name of the artefact the mask was imported from, and its SHA-256, hexadecimal.
  public static let source = "source"
  public static let sourceDigest = "source_sha256"
  /// Content id of the mask this one was derived from, hexadecimal.
  public static let derivedFrom = "derived_from"
  /// How the mask was chosen, in words.
  public static let recipe = "recipe"
  /// Program and version that wrote the file.
  public static let writer = "writer"

  public var entries: [String: String]

  public init(_ entries: [String: String] = [:]) { self.entries = entries }

  public subscript(key: String) -> String? {
    get { entries[key] }
    set { entries[key] = newValue }
  }

  public var isEmpty: Bool { entries.isEmpty }
}
