public import ByteIO
public import LeanKMask

extension ModelDescription {
  /// Geometry of each layer, as a mask for this model has to have it.
  public var geometries: [LayerGeometry] {
    get throws(MaskError) {
      var result: [LayerGeometry] = []
      for layer in layers {
        let attention = layer.attention
        result.append(
          try LayerGeometry(
            kvHeads: attention.kvHeads, headDim: attention.headDim,
            attention: AttentionGeometry(
              queryHeads: attention.queryHeads, rotary: attention.rotary?.geometry ?? .none)))
      }
      return result
    }
  }

  /// `mask` with this model's geometry. Fails when the mask was made for another.
  public func adopt(_ mask: ChannelMask) throws(CheckpointError) -> ChannelMask {
    do throws(MaskError) {
      return try mask.adopting(try geometries)
    } catch {
      throw CheckpointError(.maskGeometry, error.description)
    }
  }

  /// The description of the checkpoint from which layout `rows` made the rows outside the closure
  /// go: the same model, every head's range over the rows that are left.
  public func pruned(by mask: ChannelMask) throws(CheckpointError) -> ModelDescription {
    let mask = try adopt(mask)
    var result = self
    for (index, layer) in mask.layers.enumerated() {
      let removed = layers[index].attention.rows(outside: layer.closure, ofQuery: true)
      for part in [\AttentionDescription.query, \.key, \.value] {
        let dense = layers[index].attention[keyPath: part]
        guard let ranges = removed[dense.weight] else { continue }
        result.layers[index].attention[keyPath: part].heads = dense.heads.map { head in
          head.lowerBound - ranges.count(below: head.lowerBound)..<head.upperBound
            - ranges.count(below: head.upperBound)
        }
      }
    }
    return result
  }
}

extension AttentionDescription {
  /// Rows of each projection tensor (weight and bias) that give channels outside `closure`, those of
  /// the query heads included when `ofQuery`.
  func rows(outside closure: [ChannelSet], ofQuery: Bool) -> [String: RowRanges] {
    var rows: [String: [Range<Int>]] = [:]
    func drop(_ projection: HeadRows, _ head: Int, _ channels: [Range<Int>]) {
      let start = projection.heads[head].lowerBound
      let ranges = channels.map { start + $0.lowerBound..<start + $0.upperBound }
      rows[projection.weight, default: []] += ranges
      if let bias = projection.bias { rows[bias, default: []] += ranges }
    }
    for (head, kept) in closure.enumerated() {
      let dropped = kept.complementRanges
      guard !dropped.isEmpty else { continue }
      drop(key, head, dropped)
      guard ofQuery else { continue }
      for query in head * group..<(head + 1) * group { drop(self.query, query, dropped) }
    }
    return rows.mapValues(RowRanges.init)
  }
}

extension ChannelSet {
  /// The channels that are not in the set, as ascending runs.
  var complementRanges: [Range<Int>] {
    var runs: [Range<Int>] = []
    var start: Int?
    for channel in 0..<width {
      switch (self[channel], start) {
      case (false, nil): start = channel
      case (true, let begin?):
        runs.append(begin..<channel)
        start = nil
      default: break
      }
    }
    if let start { runs.append(start..<width) }
    return runs
  }
}

/// Rows of a tensor: ascending, disjoint runs with rows between them.
public struct RowRanges: Sendable, Hashable {
  public let runs: [Range<Int>]

  /// Any ranges that do not overlap.
  init(_ ranges: [Range<Int>]) {
    var runs: [Range<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
      if let last = runs.last, last.upperBound == range.lowerBound {
        runs[runs.count - 1] = last.lowerBound..<range.upperBound
      } else {
        runs.append(range)
      }
    }
    self.runs = runs
  }

  /// Number of rows.
  public var count: Int { runs.reduce(0) { $0 + $1.count } }

  /// Number of rows before `row`.
  func count(below row: Int) -> Int {
    runs.reduce(0) { $0 + $1.clamped(to: 0..<max(row, 0)).count }
  }

  /// The blocks of `size` rows that these are, counted from the first of `rows` rows; nil where a
  /// block is only partly among them. The last block may be shorter.
  func wholeBlocks(of size: Int, in rows: Int) -> RowRanges? {
    var blocks: [Range<Int>] = []
    for run in runs {
      guard run.lowerBound.isMultiple(of: size),
        run.upperBound == rows || run.upperBound.isMultiple(of: size)
      else { return nil }
      blocks.append(run.lowerBound / size..<(run.upperBound - 1) / size + 1)
    }
    return RowRanges(blocks)
  }

  /// The rows of `0..<rows` that are not among these.
  func complement(in rows: Int) -> RowRanges {
    var result: [Range<Int>] = []
    var next = 0
    for run in runs {
      result.append(next..<run.lowerBound)
      next = run.upperBound
    }
    result.append(next..<max(rows, next))
    return RowRanges(result)
  }
}
