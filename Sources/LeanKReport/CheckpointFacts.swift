public import LeanKMask

/// What a checkpoint adds to what a mask knows; everything is optional.
public struct CheckpointFacts: Sendable, Hashable {
  public var modelName: String?
  /// Bytes of one cached element, and of one element of K and Q weights.
  public var elementBytes = 2
  /// Bytes of all weights as they are, and as layout `rows` would leave them.
  public var weightBytes: Int?
  public var rowsWeightBytes: Int?
  /// Keys that a query of each layer sees, itself included; nil = all before it. Empty = all layers
  /// see all.
  public var slidingWindows: [Int?] = []
  /// Widths of a head of values where a mask does not record them. Empty = as it does.
  public var valueDims: [Int?] = []
  /// The model's longest context in tokens.
  public var contextLimit: Int?
  /// Whether keys are normed before rotation, which rules out layouts `rows` and `zeroed`.
  public var hasQueryKeyNorm = false
  /// Whether the model is known by the geometry of its cache alone, which rules them out as well.
  public var hasUnknownRows = false
  /// Whether layouts `rows` and `zeroed` are impossible.
  var rulesOutRows: Bool { hasQueryKeyNorm || hasUnknownRows }

  /// What a cache holds of the keys: those of a mask alone, unless a layout decides it.
  public var cachedKeys = CachedKeys.kept

  public init() {}
}
