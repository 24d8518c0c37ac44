/// The largest file that a reader takes, checked before anything of that size is allocated.
public struct FormatLimits: Sendable, Hashable {
  /// Bytes of a file.
  public var fileBytes = 256 << 20
  /// Bytes of all sections together once decompressed.
  public var rawBytes = 64 << 20
  public var sections = 64
  public var layers = 4096
  /// KV heads of a layer.
  public var kvHeads = 4096
  public var queryHeads = 65_536
  /// Channels of a head, of keys or of values.
  public var headDim = 4096
  /// KV heads of all layers together.
  public var heads = 1 << 20
  /// Channels of all heads together.
  public var channels = 1 << 28
  /// Channels of a mask that comes with scores.
  public var scoredChannels = 16_000_000
  /// Bytes of the provenance section.
  public var provenanceBytes = 512 << 10
  public var provenanceEntries = 1024
  /// Bytes of one provenance value.
  public var textBytes = 64 << 10
  /// Bytes of a name: a key of the provenance, the kind of the scores.
  public static let nameBytes = 255

  /// The specification's limits, which every reader takes at least.
  public static let `default` = FormatLimits()

  public init() {}
}
