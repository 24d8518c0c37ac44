import ByteIO
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import LeanKReport
import TensorFiles

/// What `inspect` says of a checkpoint without a mask; the property names are the keys of `--json`.
struct CheckpointReport: Encodable {
  struct Layout: Encodable {
    var layout: String
    var possible: Bool
    var reason: String
  }

  struct Context: Encodable {
    var tokens: Int
    var keys: Int
    var values: Int
  }

  var path: String
  var modelType: String
  /// Whether `verify` and `generate` can run the model.
  var isDecoded: Bool
  var layers: Int
  /// The shapes of layers in words, each with the layers that have it.
  var geometry: [String]
  var kvHeads: [Int]
  var queryHeads: [Nullable<Int>]
  var headDim: [Int]
  var rotaryWidth: [Nullable<Int>]
  var pairing: [Nullable<String>]
  var slidingWindow: [Nullable<Int>]
  /// `none`, `per_head` or `across_heads`: whose channels a key is normed over.
  var keyNorm: [String]
  var dtype: Nullable<String>
  /// How the weights are packed or scaled, as config.json names it.
  var quantization: Nullable<String>
  /// Bytes of the weights by their type on disk.
  var weightBytes: [String: Int]
  var weightFiles: Int
  var keyCacheBytesPerToken: Int
  var valueCacheBytesPerToken: Int
  var contexts: [Context]
  var layouts: [Layout]

  init(_ checkpoint: CheckpointDirectory, contexts: [Int]) throws {
    let model = try checkpoint.geometry(checkingShapes: false)
    let geometries = model.geometries
    path = checkpoint.path
    modelType = model.modelType
    isDecoded = model.description != nil
    layers = geometries.count
    geometry = GeometryText.grouped(model.layers.map(Self.shape))
    kvHeads = geometries.map(\.kvHeads)
    queryHeads = geometries.map { Nullable($0.attention?.queryHeads) }
    headDim = geometries.map(\.headDim)
    rotaryWidth = geometries.map { Nullable($0.attention?.rotary.width) }
    pairing = geometries.map { Nullable($0.attention?.rotary.pairing.rawValue) }
    slidingWindow = model.layers.map { Nullable($0.slidingWindow) }
    keyNorm = model.layers.map(\.keyNorm.rawValue)
    dtype = Nullable(checkpoint.configuration.dataType)
    quantization = Nullable(checkpoint.quantizationMethod)
    weightBytes = checkpoint.shards.reduce(into: [:]) { sums, shard in
      for tensor in shard.file.header.tensors {
        sums[tensor.scalar.rawValue, default: 0] += tensor.range.count
      }
    }
    weightFiles = checkpoint.shards.count
    // A mask that keeps everything costs what the dense model does.
    let full = try ChannelMask(
      layers: geometries.map { geometry throws(MaskError) in
        try LayerMask(
          geometry: geometry,
          heads: [ChannelSet](repeating: .full(width: geometry.headDim), count: geometry.kvHeads))
      })
    let subject = ReportSubject(
      try MaskDocument(mask: full), title: checkpoint.path,
      facts: CheckpointFacts(of: checkpoint), contexts: contexts)
    keyCacheBytesPerToken = subject.cost.densePerToken.keys
    valueCacheBytesPerToken = subject.cost.densePerToken.values
    self.contexts = subject.contexts.map {
      let bytes = subject.cost.dense(context: $0)
      return Context(tokens: $0, keys: bytes.keys, values: bytes.values)
    }
    let probe = try Self.probe(geometries)
    layouts = PruningLayout.allCases.map { layout in
      Self.layout(layout, of: checkpoint, model, probe)
    }
  }

  /// A mask that takes one pair (or, where there is none, one channel) from every head.
  private static func probe(_ geometries: [LayerGeometry]) throws(MaskError) -> ChannelMask {
    try ChannelMask(
      layers: geometries.map { geometry throws(MaskError) in
        let partner = geometry.attention?.rotary.partner(of: 0) ?? 0
        let kept = ChannelSet(
          width: geometry.headDim,
          channels: (0..<geometry.headDim).filter { $0 != 0 && $0 != partner })
        return try LayerMask(
          geometry: geometry, heads: [ChannelSet](repeating: kept, count: geometry.kvHeads))
      })
  }

  /// Whether a plan for `layout` can be made at all; the refusal is the reason.
  private static func layout(
    _ layout: PruningLayout, of checkpoint: CheckpointDirectory, _ model: ModelGeometry,
    _ probe: ChannelMask
  ) -> Layout {
    do throws(PruningError) {
      _ = try PruningPlan(source: checkpoint, mask: probe, layout: layout)
    } catch {
      return Layout(
        layout: layout.rawValue, possible: false,
        reason: error.detail + idleRows(error, model))
    }
    let reason =
      switch layout {
      case .rows: "exact: rows of K and Q outside the mask's pair closure go"
      case .cache: "the weights stay as they are"
      case .zeroed: "exact: rows of K outside the mask's pair closure become 0"
      }
    return Layout(layout: layout.rawValue, possible: true, reason: reason)
  }

  /// What could go all the same where norms forbid more.
  private static func idleRows(_ error: PruningError, _ model: ModelGeometry) -> String {
    guard error.code == .queryKeyNorm, model.knowsRows else { return "" }
    let cached = model.layers.filter(\.geometry.hasCache)
    guard cached.allSatisfy({ $0.keyNorm == .perHead }), let first = cached.first,
      let rows = first.rows
    else { return "; not even those of heads that keep nothing" }
    let count = (1 + rows.group) * first.geometry.headDim
    return "; of a head that keeps nothing, its \(count) rows of K and Q could go"
  }

  var text: String {
    var lines = [
      escaped(path, limit: 4096),
      Formatting.row(
        "family",
        escaped(modelType) + (isDecoded ? "" : " (known by its geometry alone)") + ", no mask"),
    ]
    for (index, shapes) in geometry.enumerated() {
      lines += Formatting.rows(index == 0 ? "geometry" : "", shapes)
    }
    let types = weightBytes.sorted { $0.key < $1.key }
      .map { "\($0.key) \(Formatting.bytes($0.value))" }.joined(separator: ", ")
    lines.append(
      Formatting.row(
        "weights",
        "\(escaped(dtype.wrapped ?? "dtype not recorded")), \(weightFiles) "
          + (weightFiles == 1 ? "file" : "files") + ": \(types)"
          + (quantization.wrapped.map { ", quantised: \(escaped($0))" } ?? "")))
    lines.append(
      Formatting.row(
        "cache",
        "a token: K \(Formatting.bytes(keyCacheBytesPerToken)), V "
          + Formatting.bytes(valueCacheBytesPerToken)))
    for context in contexts {
      lines.append(
        Formatting.row(
          "",
          Formatting.padded(Formatting.count(context.tokens), to: 9, onTheLeft: true)
            + " tokens: K and V \(Formatting.bytes(context.keys + context.values))"))
    }
    for layout in layouts {
      lines += Formatting.rows(
        layout.layout, (layout.possible ? "possible, " : "no, ") + layout.reason)
    }
    return lines.joined(separator: "\n")
  }

  private static func shape(_ layer: ModelGeometry.Layer) -> String {
    var text = GeometryText.shape(layer.geometry)
    if let width = layer.valueDim { text += ", values of \(width)" }
    if let window = layer.slidingWindow { text += ", window \(window)" }
    switch layer.keyNorm {
    case .none: break
    case .perHead: text += ", keys normed by head"
    case .acrossHeads: text += ", keys normed over all heads"
    }
    return text
  }
}
