public import ByteIO
public import LeanKMask
public import LeanKModel

extension ModelDescription {
  /// The description of the checkpoint from which layout `rows` made the rows outside the closure
  /// go: the same model, every head's range over the rows that are left.
  public func pruned(by mask: ChannelMask) throws(PruningError) -> ModelDescription {
    let mask = try liftingModel(try adopt(mask))
    var result = self
    for (index, layer) in mask.layers.enumerated() {
      let removed = AttentionRows(of: layers[index].attention)
        .rows(outside: layer.closure, ofQuery: true)
      for part in [\AttentionDescription.query, \.key, \.value] {
        let dense = layers[index].attention[keyPath: part]
        guard let ranges = removed[UTF8Name(dense.weight)] else { continue }
        result.layers[index].attention[keyPath: part].heads = dense.heads.map { head in
          head.lowerBound - ranges.rowCount(below: head.lowerBound)..<head.upperBound
            - ranges.rowCount(below: head.upperBound)
        }
      }
    }
    return result
  }
}

extension AttentionRows {
  /// Rows of each projection tensor (weight and bias) that give channels outside `closure`, those of
  /// the query heads included when `ofQuery`.
  func rows(outside closure: [ChannelSet], ofQuery: Bool) -> [UTF8Name: RangeSet<Int>] {
    var rows: [UTF8Name: RangeSet<Int>] = [:]
    func drop(_ projection: HeadRows, _ head: Int, _ channels: [Range<Int>]) {
      let start = projection.heads[head].lowerBound
      for name in [projection.weight, projection.bias].compactMap({ $0 }) {
        for run in channels {
          rows[UTF8Name(name), default: RangeSet()].insert(
            contentsOf: start + run.lowerBound..<start + run.upperBound)
        }
      }
    }
    for (head, kept) in closure.enumerated() {
      let dropped = kept.complementRanges
      guard !dropped.isEmpty else { continue }
      drop(key, head, dropped)
      guard ofQuery else { continue }
      for query in head * group..<(head + 1) * group { drop(self.query, query, dropped) }
    }
    return rows
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
