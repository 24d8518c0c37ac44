import LeanKMask
import LeanKReport

/// `profile`: where the kept channels are.
struct ProfileReport: Encodable {
  struct Layer: Encodable {
    var layer: Int
    var channels: Int
    var kept: Int
    var keptRatio: Double
    var closureKept: Int
    var emptyHeads: Int
    var counts: [Int]
    var closureCounts: [Int]
    /// Heads that keep channel c, by channel.
    var channelHeads: [Int]
  }

  struct Frequency: Encodable {
    var rotaryWidth: Int
    var layers: Int
    var kept: [Int]
    var channels: [Int]
    var keptShare: [Double]
  }

  struct Uniform: Encodable {
    var layerKept: Int
    var layerClosureKept: Int
    var modelKept: Nullable<Int>
    var modelClosureKept: Nullable<Int>
    var uniformLayers: Int
    var closureUniformLayers: Int
  }

  var headClasses: HeadClasses
  var layers: [Layer]
  var frequencies: [Frequency]
  /// Kept share by quarter of the rotary frequencies, the fastest first.
  var frequencyQuarters: [Double]
  var unrotatedChannels: Int
  var unrotatedKept: Int
  var uniformWidths: Uniform

  init(_ profile: MaskProfile) {
    headClasses = profile.headClasses
    layers = profile.layers.map {
      Layer(
        layer: $0.index, channels: $0.geometry.channels, kept: $0.kept, keptRatio: $0.share.ratio,
        closureKept: $0.closureKept, emptyHeads: $0.emptyHeads, counts: $0.counts,
        closureCounts: $0.closureCounts, channelHeads: $0.channelHeads)
    }
    frequencies = profile.frequencies.map {
      Frequency(
        rotaryWidth: $0.rotaryWidth, layers: $0.layers, kept: $0.shares.map(\.kept),
        channels: $0.shares.map(\.channels), keptShare: $0.shares.map(\.ratio))
    }
    frequencyQuarters = profile.quarters.map(\.ratio)
    unrotatedChannels = profile.unrotated.channels
    unrotatedKept = profile.unrotated.kept
    let uniform = UniformWidths(of: profile)
    uniformWidths = Uniform(
      layerKept: uniform.layerKept, layerClosureKept: uniform.layerClosureKept,
      modelKept: Nullable(uniform.modelKept), modelClosureKept: Nullable(uniform.modelClosureKept),
      uniformLayers: uniform.uniformLayers, closureUniformLayers: uniform.closureUniformLayers)
  }
}
