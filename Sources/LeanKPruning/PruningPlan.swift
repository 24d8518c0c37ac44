public import ByteIO
public import LeanKCheckpoint
public import LeanKMask
public import LeanKModel
public import TensorFiles

/// What a conversion will do, tensor by tensor, made from headers alone.
public struct PruningPlan: Sendable {
  /// What happens to one tensor.
  public enum Action: Sendable, Hashable {
    case copy
    /// Only these rows are written.
    case keep(RangeSet<Int>)
    /// These rows are written as zeros.
    case zero(RangeSet<Int>)
  }

  public struct Tensor: Sendable, Hashable {
    public let source: TensorInfo
    public let action: Action
    /// Shape of what is written.
    public let shape: [Int]

    public var bytesIn: Int { source.range.count }
    public var bytesOut: Int {
      switch action {
      case .copy, .zero: bytesIn
      case .keep(let rows): rows.rowCount * source.rowBytes
      }
    }
  }

  /// One file of weights.
  public struct Shard: Sendable {
    public let name: String
    /// In the order of their data.
    public let tensors: [Tensor]
    /// Of the file that is written.
    public let header: SafetensorsHeader
    /// Size of the source's file and of the one that is written.
    public let bytesIn: Int
    public let bytesOut: Int
    /// Where the source's data begins.
    let sourceDataStart: Int
  }

  public let layout: PruningLayout
  /// The source's model.
  public let model: ModelGeometry
  /// The mask with the model's geometry.
  public let mask: ChannelMask
  public let shards: [Shard]
  /// What a cache of the output costs.
  public let cacheCost: CacheCost
  /// What the user should know, in sentences.
  public let warnings: [String]

  /// The index that is written, nil where the source has none.
  let index: [UInt8]?

  public var bytesIn: Int { shards.reduce(0) { $0 + $1.bytesIn } }
  public var bytesOut: Int { shards.reduce(0) { $0 + $1.bytesOut } }

  /// Plans the conversion of `source` with `mask`.
  ///
  /// Fails on a source that is already pruned, on a mask of another geometry, on a tensor that is
  /// missing or of the wrong shape, on `rows` and `zeroed` where queries and keys are normed or the
  /// places of their rows are not known, and on tensors beside a sliced projection that nothing says how
  /// to slice.
  public init(
    source: CheckpointDirectory, mask: ChannelMask, layout: PruningLayout
  ) throws(PruningError) {
    guard source.configuration.prunedObject == nil else {
      throw PruningError(
        .alreadyPruned, "the checkpoint is already pruned, start from the dense one",
        at: .key(PrunedConfiguration.key), in: source.configuration.path)
    }
    var warnings = source.warnings
    // Untouched weights may be stored in any way; what is sliced has to be understood.
    let mayBePacked = source.isQuantised
    if mayBePacked {
      model = try liftingCheckpoint(try source.geometry(checkingShapes: false))
      if layout != .cache { try Self.checkSliced(model, in: source) }
      warnings.append(
        "the weights are quantised, so the shapes of those that stay as they are were not checked")
    } else {
      model = try liftingCheckpoint(try source.geometry())
    }
    self.layout = layout
    let mask = try liftingModel(try model.adopt(mask))
    self.mask = mask
    let removed = try Self.removedRows(model, mask, layout, in: source)
    var shards: [Shard] = []
    for shard in source.shards { shards.append(Self.plan(shard, removed, layout)) }
    self.shards = shards
    index = source.index?.rewritten(
      totalSize: shards.reduce(0) { $0 + $1.header.dataLength },
      totalParameters: shards.reduce(0) { sum, shard in
        shard.tensors.reduce(sum) { $0 + $1.shape.reduce(1, *) }
      })
    cacheCost = CacheCost(
      of: mask, elementBytes: source.cacheElementBytes(of: model),
      slidingWindows: model.layers.map(\.slidingWindow), valueDims: model.layers.map(\.valueDim),
      cachedKeys: layout.cachedKeys)
    if !mayBePacked, model.description != nil { warnings += Self.unusedTensors(model, source) }
    if layout == .cache { warnings += Self.idleRows(model, mask) }
    self.warnings = warnings
  }

  // MARK: - Rows

  /// The rows that go (or become zero), by tensor name.
  private static func removedRows(
    _ model: ModelGeometry, _ mask: ChannelMask, _ layout: PruningLayout,
    in source: CheckpointDirectory
  ) throws(PruningError) -> [UTF8Name: RangeSet<Int>] {
    guard layout != .cache else { return [:] }
    if let normed = model.layers.firstIndex(where: { $0.keyNorm != .none }) {
      throw PruningError(
        .queryKeyNorm,
        "layer \(normed) of this \(escaped(model.modelType)) normalises queries and keys over all "
          + "their channels, so none of their rows can be left out exactly: use --layout cache",
        in: source.path)
    }
    guard model.knowsRows else {
      throw PruningError(
        .unknownRows,
        "model_type \(quoted(model.modelType)) is known by the geometry of its cache alone: which "
          + "channels rotate together, and with them which rows can be left out, is not known: use "
          + "--layout cache", in: source.path)
    }
    let companions = CompanionTensors(of: source)
    var removed: [UTF8Name: RangeSet<Int>] = [:]
    for (index, layer) in mask.layers.enumerated() {
      guard let attention = model.layers[index].rows else { continue }
      let rows = attention.rows(outside: layer.closure, ofQuery: layout == .rows)
      removed.merge(rows) { first, _ in first }
      var projections = [attention.key]
      if layout == .rows { projections.append(attention.query) }
      for projection in projections {
        guard let own = rows[UTF8Name(projection.weight)], !own.isEmpty else { continue }
        try companions.check(projection, removing: own, layout: layout) {
          removed[UTF8Name($0)] = $1
        }
      }
    }
    return removed
  }

  /// Checks the shapes of the projections that lose rows.
  private static func checkSliced(
    _ model: ModelGeometry, in source: CheckpointDirectory
  ) throws(PruningError) {
    var sliced: Set<UTF8Name> = []
    for layer in model.layers.compactMap(\.rows) {
      for projection in [layer.key, layer.query] {
        sliced.insert(UTF8Name(projection.weight))
        if let bias = projection.bias { sliced.insert(UTF8Name(bias)) }
      }
    }
    try liftingCheckpoint(
      try source.check(model.shapes.filter { sliced.contains(UTF8Name($0.key)) }))
  }

  private static func plan(
    _ shard: CheckpointDirectory.Shard, _ removed: [UTF8Name: RangeSet<Int>],
    _ layout: PruningLayout
  ) -> Shard {
    let source = shard.file.header
    let tensors = source.tensors.map { tensor in
      guard let rows = removed[UTF8Name(tensor.name)], !rows.isEmpty else {
        return Tensor(source: tensor, action: .copy, shape: tensor.shape)
      }
      guard layout == .rows else {
        return Tensor(source: tensor, action: .zero(rows), shape: tensor.shape)
      }
      let kept = rows.complement(in: tensor.rows)
      return Tensor(
        source: tensor, action: .keep(kept), shape: [kept.rowCount] + tensor.shape.dropFirst())
    }
    var metadata = source.metadata
    metadata["format"] = "pt"
    let header = SafetensorsHeader(
      layingOut: tensors.map { ($0.source.name, $0.source.scalar, $0.shape) }, metadata: metadata,
      inPagesLike: source.dataStart)
    return Shard(
      name: shard.name, tensors: tensors, header: header, bytesIn: shard.file.file.size,
      bytesOut: header.dataStart + header.dataLength, sourceDataStart: source.dataStart)
  }

  // MARK: - Figures

  /// Rows of K and Q that a normed family keeps for heads whose keys are never looked at.
  private static func idleRows(_ model: ModelGeometry, _ mask: ChannelMask) -> [String] {
    var rows = 0
    var all = 0
    for (layer, masked) in zip(model.layers, mask.layers) {
      guard let attention = layer.rows, layer.keyNorm == .perHead else { return [] }
      let rowsOfHead = (1 + attention.group) * layer.geometry.headDim
      rows += masked.heads.count(where: \.isEmpty) * rowsOfHead
      all += layer.geometry.kvHeads * rowsOfHead
    }
    return rows == 0
      ? []
      : [
        "\(rows) of \(all) rows of K and Q belong to heads that keep nothing; a runtime for static mode "
          + "could leave them out exactly"
      ]
  }

  /// Buffers that old checkpoints carry along; no model computes with them.
  private static let buffers = [".inv_freq", ".attention.bias", ".masked_bias"]

  private static func unusedTensors(
    _ model: ModelGeometry, _ source: CheckpointDirectory
  ) -> [String] {
    let used = Set(model.shapes.keys.map { UTF8Name($0) })
    let unused = source.shards.flatMap { $0.file.header.tensors.map { UTF8Name($0.name) } }
      .filter { name in
        !used.contains(name) && !buffers.contains { name.text.hasBytes(suffix: $0) }
      }
    guard let first = unused.min() else { return [] }
    return [
      "\(unused.count) tensors outside the decoder of a \(model.modelType) are copied "
        + "as they are, the first is \(quoted(first.text))"
    ]
  }
}
