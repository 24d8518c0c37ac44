import LeanKMask

/// What it costs to give all heads of a layer, or of the model, one width.
///
/// Runtimes that take no list of head sizes need this. Every head then keeps as many channels as the
/// widest does.
public struct UniformWidths: Sendable, Hashable {
  /// Kept channels of M and of C when each layer has one width.
  public let layerKept: Int
  public let layerClosureKept: Int
  /// The same with one width for the whole model; nil when head_dim differs between layers.
  public let modelKept: Int?
  public let modelClosureKept: Int?
  /// Layers with a K cache of heads.
  public let layers: Int
  /// Those of them whose heads already have one width, in M and in C.
  public let uniformLayers: Int
  public let closureUniformLayers: Int
  public let channels: Int

  public init(of profile: MaskProfile) {
    let layers = profile.layers.filter(\.geometry.hasCache)
    channels = profile.statistics.channels
    func padded(_ counts: KeyPath<LayerProfile, [Int]>) -> Int {
      layers.reduce(0) { $0 + ($1[keyPath: counts].max() ?? 0) * $1.counts.count }
    }
    func model(_ counts: KeyPath<LayerProfile, [Int]>) -> Int? {
      guard Set(layers.map(\.geometry.headDim)).count == 1 else { return nil }
      return (layers.flatMap { $0[keyPath: counts] }.max() ?? 0) * profile.statistics.heads
    }
    layerKept = padded(\.counts)
    layerClosureKept = padded(\.closureCounts)
    modelKept = model(\.counts)
    modelClosureKept = model(\.closureCounts)
    self.layers = layers.count
    uniformLayers = layers.count { Set($0.counts).count == 1 }
    closureUniformLayers = layers.count { Set($0.closureCounts).count == 1 }
  }
}
