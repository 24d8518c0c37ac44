import ByteIO
import LeanKCheckpoint
import LeanKMask
import LeanKReport

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
  var layers: Int
  var kvHeads: [Int]
  var queryHeads: [Nullable<Int>]
  var headDim: [Int]
  var rotaryWidth: [Nullable<Int>]
  var pairing: [Nullable<String>]
  var slidingWindow: [Nullable<Int>]
  var dtype: Nullable<String>
  var weightFiles: Int
  var keyCacheBytesPerToken: Int
  var valueCacheBytesPerToken: Int
  var contexts: [Context]
  var layouts: [Layout]

  init(_ checkpoint: CheckpointDirectory, contexts: [Int]) throws {
    let description = try checkpoint.geometryDescription
    let geometries = try description.geometries
    path = checkpoint.path
    modelType = description.modelType
    layers = geometries.count
    kvHeads = geometries.map(\.kvHeads)
    queryHeads = geometries.map { Nullable($0.attention?.queryHeads) }
    headDim = geometries.map(\.headDim)
    rotaryWidth = geometries.map { Nullable($0.attention?.rotary.width) }
    pairing = geometries.map { Nullable($0.attention?.rotary.pairing.rawValue) }
    slidingWindow = description.layers.map { Nullable($0.attention.slidingWindow) }
    dtype = Nullable(checkpoint.configuration.dataType)
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
    let normed = subject.facts.hasQueryKeyNorm
    let reason =
      normed
      ? "its keys are normed over all channels, so no row can go" : "exact: keys are not normed"
    layouts = [
      Layout(layout: "rows", possible: !normed, reason: reason),
      Layout(layout: "cache", possible: true, reason: "the weights stay as they are"),
      Layout(layout: "zeroed", possible: !normed, reason: reason),
    ]
  }

  var text: String {
    func span<Value: Hashable>(_ values: [Value], _ text: (Value) -> String) -> String {
      var seen: Set<Value> = []
      return values.filter { seen.insert($0).inserted }.prefix(4).map(text)
        .joined(separator: " or ")
    }
    let rotations = zip(rotaryWidth, pairing).map { width, pairing in
      (width.wrapped ?? 0) == 0
        ? "no RoPE" : "\(pairing.wrapped ?? "") pairs over \(width.wrapped ?? 0)"
    }
    var lines = [
      escaped(path, limit: 4096),
      Formatting.row("family", escaped(modelType) + ", no mask"),
      Formatting.row(
        "geometry",
        "\(layers) layers of \(span(kvHeads, String.init)) KV heads of \(span(headDim, String.init)) "
          + "channels, \(span(queryHeads.map(\.wrapped)) { $0.map(String.init) ?? "?" }) query heads, "
          + span(rotations) { $0 }),
    ]
    let windows = Set(slidingWindow.compactMap(\.wrapped)).sorted()
    if !windows.isEmpty {
      lines.append(
        Formatting.row(
          "window",
          "\(slidingWindow.count { $0.wrapped != nil }) of \(layers) layers see "
            + "\(windows.prefix(4).map(String.init).joined(separator: " or ")) tokens"))
    }
    lines.append(
      Formatting.row(
        "weights",
        "\(escaped(dtype.wrapped ?? "dtype not recorded")), \(weightFiles) "
          + (weightFiles == 1 ? "file" : "files")))
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
      lines.append(
        Formatting.row(layout.layout, (layout.possible ? "possible, " : "no, ") + layout.reason))
    }
    return lines.joined(separator: "\n")
  }
}
