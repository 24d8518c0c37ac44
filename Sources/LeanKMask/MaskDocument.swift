/// One mask with everything a `.leank` file says about it.
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

/// What a mask means to attention; DESIGN's modes.
public enum MaskMode: String, Sendable, Hashable, CaseIterable {
  /// Every query and every key uses only M.
  case `static`
  /// Decoded tokens see near keys whole and middle keys through M; the prompt is dense.
  case windowed
}

/// Which keys of windowed mode are near: for the `j`-th decoded token (from 1) at position `t`,
/// `k < sink` or `k > t - recent - (j mod accumulate)`.
public struct AttentionWindow: Sendable, Hashable {
  public let sink: Int
  public let recent: Int
  public let accumulate: Int
  public let prefill: Prefill
  public let emptyHeads: EmptyHeads

  /// Which queries of windowed mode follow the window.
  public enum Prefill: String, Sendable, Hashable, CaseIterable {
    /// The prompt's own attention is dense.
    case dense
    /// Every query, with the last `recent` keys near and no accumulation.
    case windowed
  }

  /// What windowed mode does with the middle keys of an empty head.
  public enum EmptyHeads: String, Sendable, Hashable, CaseIterable {
    /// Neither K nor V takes part.
    case absent
    /// The score is 0 and V takes part.
    case zero
  }

  /// LeanK's own cache: 128 sink tokens, 768 recent ones, flushed 128 at a time.
  public static let standard = AttentionWindow(unchecked: 128, 768, 128, .dense, .absent)

  private init(
    unchecked sink: Int, _ recent: Int, _ accumulate: Int, _ prefill: Prefill,
    _ emptyHeads: EmptyHeads
  ) {
    self.sink = sink
    self.recent = recent
    self.accumulate = accumulate
    self.prefill = prefill
    self.emptyHeads = emptyHeads
  }

  /// Fails when `sink` is negative, or `recent` or `accumulate` below 1, or any above 2^31 - 1.
  public init(
    sink: Int, recent: Int, accumulate: Int, prefill: Prefill = .dense,
    emptyHeads: EmptyHeads = .absent
  ) throws(MaskError) {
    let limit = Int(Int32.max)
    guard (0...limit).contains(sink), (1...limit).contains(recent), (1...limit).contains(accumulate)
    else {
      throw MaskError(
        .deployment,
        "window sink \(sink), recent \(recent), accumulate \(accumulate): sink must be at least 0, "
          + "the others at least 1")
    }
    self.init(unchecked: sink, recent, accumulate, prefill, emptyHeads)
  }

  /// Whether key `k` is near for the `j`-th decoded token at position `t`.
  public func isNear(key k: Int, token j: Int, position t: Int) -> Bool {
    k < sink || k > t - recent - j % accumulate
  }
}

/// How the mask is meant to be run.
public enum DeploymentHints: Sendable, Hashable {
  case `static`
  case windowed(AttentionWindow)

  public var mode: MaskMode {
    switch self {
    case .static: .static
    case .windowed: .windowed
    }
  }

  public var window: AttentionWindow? {
    switch self {
    case .static: nil
    case .windowed(let window): window
    }
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
