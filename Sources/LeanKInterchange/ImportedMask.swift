public import LeanKMask

/// What a file of another format says: a mask, scores, or both.
public struct ImportedMask: Sendable, Hashable {
  /// Shape of each layer; with query heads and rotation where a model or the file told them.
  public let layers: [LayerGeometry]
  public let mask: ChannelMask?
  public let scores: ImportanceScores?
  /// What was changed on the way in, for people: scores that were rounded.
  public let notes: [String]

  public init(
    layers: [LayerGeometry], mask: ChannelMask?, scores: ImportanceScores?, notes: [String] = []
  ) {
    self.layers = layers
    self.mask = mask
    self.scores = scores
    self.notes = notes
  }
}
