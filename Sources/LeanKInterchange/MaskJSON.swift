import ByteIO
import LeanKMask
import StrictJSON

/// leank's JSON form of masks and scores, lossless and readable:
///
///     {"format": "leank-mask", "version": 1,
///      "layers": [{"kv_heads": 2, "head_dim": 4, "query_heads": 4, "rotary_width": 4,
///                  "pairing": "half"}],
///      "mask": [[[0, 2], [1]]],
///      "scores": {"kind": "leank.alpha", "dtype": "f32", "values": [[[1, 0.25, 0.5, 0], [0, 1, 0, 0]]]}}
///
/// `mask` lists the kept channels of each head of each layer, ascending. `scores` lists one number a
/// channel, each the shortest decimal that rounds to the score's bits in `dtype` (f32, f16 or bf16).
/// At least one of the two is there. `query_heads`, `rotary_width` and `pairing` (half or
/// interleaved) stand together or not at all; `value_dim` may stand with them, where values are not as
/// wide as keys. A layer without a K cache of heads has `kv_heads` and `head_dim` 0, and empty arrays.
/// Other keys are refused.
enum MaskJSON {
  static let format = "leank-mask"
  /// Most values of a file, counted before it is parsed. Lists of channels are denser than the JSON
  /// of models, for which the parser's own limit is made.
  static let valueLimit = 250_000
  /// Most channels: a mask costs memory for channels that it does not name.
  static let channelLimit = 1 << 28

  static func read(
    _ bytes: Span<UInt8>, geometry: [LayerGeometry]?
  ) throws(InterchangeError) -> ImportedMask {
    try checkSize(bytes)
    let document: JSONDocument
    do throws(JSONError) {
      document = try JSONDocument(parsing: bytes, valueLimit: valueLimit)
    } catch {
      throw InterchangeError(json: error)
    }
    let root = document.root
    try checkKeys(
      of: root, ["format", "version", "layers", "mask", "scores"], in: "the document")
    guard root["format"]?.string == format, root["version"]?.integer == 1 else {
      throw InterchangeError(
        .json, "expected an object with \"format\": \"\(format)\" and \"version\": 1")
    }
    let own = try layers(root["layers"])
    let layers = try adopt(geometry, for: own)
    let mask = try root["mask"].map { value throws(InterchangeError) in
      let found = try self.mask(value, own)
      return try InterchangeError.converting(.geometry) { () throws(MaskError) in
        try found.adopting(layers)
      }
    }
    let scores = try root["scores"].map { value throws(InterchangeError) in
      try self.scores(value, own)
    }
    guard mask != nil || scores != nil else {
      throw InterchangeError(.noTensor, "the file holds neither mask nor scores")
    }
    return ImportedMask(layers: layers, mask: mask, scores: scores)
  }

  /// Each value but the first follows an opening bracket, a comma or a colon.
  private static func checkSize(_ bytes: Span<UInt8>) throws(InterchangeError) {
    var count = 1
    for index in 0..<bytes.count {
      switch bytes[index] {
      case 0x2C, 0x5B, 0x7B: count += 1
      default: continue
      }
      guard count <= valueLimit else {
        throw InterchangeError(
          .limit, "more than \(valueLimit) JSON values: use .safetensors", at: .byte(index))
      }
    }
  }

  private static func checkKeys(
    of value: JSONValue, _ keys: Set<String>, in place: String
  ) throws(InterchangeError) {
    guard value.kind == .object else {
      throw InterchangeError(
        .json, "\(place) is \(value.kind.rawValue), expected object",
        at: .byte(value.byteRange.lowerBound))
    }
    for (key, _) in value.children where !keys.contains(key) {
      throw InterchangeError(.json, "unknown key \(quoted(key)) in \(place)")
    }
  }

  private static func adopt(
    _ model: [LayerGeometry]?, for own: [LayerGeometry]
  ) throws(InterchangeError) -> [LayerGeometry] {
    guard let model else { return own }
    let places = try InterchangeError.converting(.geometry) { () throws(MaskError) in
      try LayerGeometry.places(of: own, in: model)
    }
    for (mine, index) in zip(own, places) {
      let theirs = model[index]
      let isSame = mine.kvHeads == theirs.kvHeads && mine.headDim == theirs.headDim
      guard isSame, mine.attention == nil || mine.attention == theirs.attention else {
        throw InterchangeError(.geometry, "layer \(index) has another geometry than the model's")
      }
    }
    return model
  }

  private static func layers(_ value: JSONValue?) throws(InterchangeError) -> [LayerGeometry] {
    guard let value, value.kind == .array, value.count > 0 else {
      throw InterchangeError(.json, "expected \"layers\", an array of at least one object")
    }
    guard value.count <= MaskImporter.layerLimit else {
      throw InterchangeError(
        .limit, "\(value.count) layers, the limit is \(MaskImporter.layerLimit)")
    }
    var result: [LayerGeometry] = []
    var channels = 0
    for (_, layer) in value.children {
      try checkKeys(
        of: layer,
        ["kv_heads", "head_dim", "value_dim", "query_heads", "rotary_width", "pairing"],
        in: "layer \(result.count)")
      let place = InterchangeError.Location.byte(layer.byteRange.lowerBound)
      guard let heads = layer["kv_heads"]?.integer, let width = layer["head_dim"]?.integer else {
        throw InterchangeError(
          .json, "layer \(result.count) lacks an integer kv_heads or head_dim", at: place)
      }
      guard heads <= MaskImporter.headLimit, width <= MaskImporter.widthLimit else {
        throw InterchangeError(
          .limit, "\(heads) KV heads of \(width) channels, the limit is 4096 of each", at: place)
      }
      let geometry = try InterchangeError.converting(.json, at: place) { () throws(MaskError) in
        let attention = try attention(layer)
        guard heads != 0 || width != 0 || attention != nil else {
          return LayerGeometry.withoutCache
        }
        return try LayerGeometry(kvHeads: heads, headDim: width, attention: attention)
      }
      result.append(geometry)
      channels += geometry.channels
    }
    guard channels <= channelLimit else {
      throw InterchangeError(.limit, "\(channels) channels, the limit is \(channelLimit)")
    }
    guard channels > 0 else { throw InterchangeError(.json, "no layer has KV heads") }
    return result
  }

  private static func attention(_ layer: JSONValue) throws(MaskError) -> AttentionGeometry? {
    let keys = ["query_heads", "rotary_width", "pairing", "value_dim"]
    guard keys.contains(where: { layer[$0] != nil }) else { return nil }
    guard let queryHeads = layer["query_heads"]?.integer,
      let width = layer["rotary_width"]?.integer, let name = layer["pairing"]?.string,
      let pairing = RotaryPairing(rawValue: name),
      layer["value_dim"].map({
        $0.integer.map { (1...MaskImporter.widthLimit).contains($0) } ?? false
      })
        ?? true
    else {
      throw MaskError(
        .geometry,
        "query_heads, rotary_width and pairing (half or interleaved) stand together, and value_dim with "
          + "them is 1 to \(MaskImporter.widthLimit)")
    }
    return AttentionGeometry(
      queryHeads: queryHeads, rotary: try RotaryGeometry(width: width, pairing: pairing),
      valueDim: layer["value_dim"]?.integer)
  }

  /// The elements of an array that has `count` of them.
  private static func elements(
    _ value: JSONValue, _ count: Int, _ place: @autoclosure () -> String
  ) throws(InterchangeError) -> [JSONValue] {
    guard value.kind == .array, value.count == count else {
      throw InterchangeError(
        .json, "\(place()): expected an array of \(count)", at: .byte(value.byteRange.lowerBound))
    }
    return value.children.map(\.value)
  }

  private static func mask(
    _ value: JSONValue, _ geometries: [LayerGeometry]
  ) throws(InterchangeError) -> ChannelMask {
    var heads: [[ChannelSet]] = []
    let rows = try elements(value, geometries.count, "mask")
    for (index, (row, geometry)) in zip(rows, geometries).enumerated() {
      var sets: [ChannelSet] = []
      for head in try elements(row, geometry.kvHeads, "mask of layer \(index)") {
        sets.append(try channels(head, width: geometry.headDim))
      }
      heads.append(sets)
    }
    return try InterchangeError.converting { () throws(MaskError) in
      var layers: [LayerMask] = []
      for (sets, geometry) in zip(heads, geometries) {
        layers.append(try LayerMask(geometry: geometry, heads: sets))
      }
      return try ChannelMask(layers: layers)
    }
  }

  private static func channels(
    _ value: JSONValue, width: Int
  ) throws(InterchangeError) -> ChannelSet {
    var set = ChannelSet(width: width)
    var last = -1
    let place = InterchangeError.Location.byte(value.byteRange.lowerBound)
    guard value.kind == .array else {
      throw InterchangeError(.json, "expected an array of kept channels", at: place)
    }
    for (_, element) in value.children {
      guard let channel = element.integer, channel > last, channel < width else {
        throw InterchangeError(
          .json, "kept channels are not ascending integers below head_dim \(width)", at: place)
      }
      set[channel] = true
      last = channel
    }
    return set
  }
}

extension InterchangeError {
  /// A text that is not the JSON leank reads; class and place stay.
  fileprivate init(json error: JSONError) {
    var place: Location?
    if case .byte(let offset) = error.location { place = .byte(offset) }
    self.init(InterchangeCode("json", error.failureClass), error.detail, at: place, in: error.path)
  }
}
