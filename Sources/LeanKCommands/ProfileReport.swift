import LeanKMask
import LeanKReport

/// `profile`: where the kept channels are.
struct ProfileReport: Encodable {
  struct Classes: Encodable {
    var empty: Int
    var narrow: Int
    var wide: Int
    var full: Int
  }

  struct Layer: Encodable {
    var layer: Int
    var kept: Int
    var closureKept: Int
    var emptyHeads: Int
    var counts: [Int]
    var closureCounts: [Int]
  }

  struct Frequency: Encodable {
    var rotaryWidth: Int
    var layers: Int
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

  var headClasses: Classes
  var layers: [Layer]
  var frequencies: [Frequency]
  /// Kept share by quarter of the rotary frequencies, the fastest first.
  var frequencyQuarters: [Double]
  var unrotatedChannels: Int
  var unrotatedKept: Int
  var uniformWidths: Uniform

  init(_ profile: MaskProfile) {
    let classes = profile.headClasses
    headClasses = Classes(
      empty: classes.empty, narrow: classes.narrow, wide: classes.wide, full: classes.full)
    layers = profile.layers.map {
      Layer(
        layer: $0.index, kept: $0.kept, closureKept: $0.closureKept, emptyHeads: $0.emptyHeads,
        counts: $0.counts, closureCounts: $0.closureCounts)
    }
    frequencies = profile.frequencies.map {
      Frequency(rotaryWidth: $0.rotaryWidth, layers: $0.layers, keptShare: $0.shares.map(\.ratio))
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

/// `cache`: bytes of K and V.
struct CacheReport: Encodable {
  struct Bytes: Encodable {
    var keys: Int
    var values: Int

    init(_ bytes: CacheBytes) {
      keys = bytes.keys
      values = bytes.values
    }
  }

  struct PerToken: Encodable {
    var dense: Bytes
    var `static`: Bytes
    var windowedMiddle: Bytes
  }

  struct Window: Encodable {
    var sink: Int
    var recent: Int
    var accumulate: Int
  }

  struct Context: Encodable {
    var tokens: Int
    var dense: Bytes
    var `static`: Bytes
    var windowed: Bytes
  }

  var elementBytes: Int
  var perToken: PerToken
  var window: Window
  var contexts: [Context]

  init(_ subject: ReportSubject) {
    let cost = subject.cost
    elementBytes = cost.elementBytes
    perToken = PerToken(
      dense: Bytes(cost.densePerToken), static: Bytes(cost.staticPerToken),
      windowedMiddle: Bytes(cost.middlePerToken))
    window = Window(
      sink: subject.window.sink, recent: subject.window.recent,
      accumulate: subject.window.accumulate)
    contexts = subject.contexts.map {
      Context(
        tokens: $0, dense: Bytes(cost.dense(context: $0)),
        static: Bytes(cost.static(context: $0)),
        windowed: Bytes(cost.windowed(context: $0, window: subject.window)))
    }
  }
}

/// What `inspect --layer --json` prints: the channels of each head.
struct ChannelReport: Encodable {
  struct Head: Encodable {
    var head: Int
    var kept: [Int]
    var closure: [Int]
    var scores: Nullable<[Float]>
  }

  var layer: Int
  var heads: [Head]

  /// `layer` and `head` have to exist.
  init(_ subject: ReportSubject, layer: Int, head: Int?) {
    let layers = subject.document.mask.layers
    let mask = layers[layer]
    let closure = mask.closure
    let first = layers[..<layer].reduce(0) { $0 + $1.geometry.channels }
    let width = mask.geometry.headDim
    self.layer = layer
    heads = (head.map { $0...$0 } ?? 0...mask.heads.count - 1).map { index in
      Head(
        head: index, kept: mask.heads[index].channels, closure: closure[index].channels,
        scores: Nullable(
          subject.document.scores.map { scores in
            (0..<width).map { scores[first + index * width + $0] }
          }))
    }
  }
}
