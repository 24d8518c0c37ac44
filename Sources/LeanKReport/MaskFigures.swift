import LeanKMask

/// The heatmaps of a mask, for the SVG file and for the report.
struct MaskFigures {
  /// Units that the cells of a row may take together: what the page has room for.
  private static let width = 906.0

  let profile: MaskProfile

  /// Layers by KV heads: kept share.
  var heads: HeatmapFigure {
    let columns = profile.layers.map(\.counts.count).max() ?? 0
    var shares: [Double] = []
    for layer in profile.layers {
      shares += layer.counts.map { Double($0) / Double(layer.geometry.headDim) }
      shares += [Double](repeating: .nan, count: columns - layer.counts.count)
    }
    return HeatmapFigure(
      rowName: "layer", columnName: "KV head", rows: profile.layers.count, columns: columns,
      shares: shares, cell: cell(columns: columns, widest: 44))
  }

  /// Layers by channels: share of the heads that keep the channel.
  var channels: HeatmapFigure {
    let columns = profile.layers.map(\.geometry.headDim).max() ?? 0
    var shares: [Double] = []
    for layer in profile.layers {
      shares += layer.channelHeads.map { Double($0) / Double(layer.counts.count) }
      shares += [Double](repeating: .nan, count: columns - layer.geometry.headDim)
    }
    return HeatmapFigure(
      rowName: "layer", columnName: "channel", rows: profile.layers.count, columns: columns,
      shares: shares, cell: cell(columns: columns, widest: 14))
  }

  private func cell(columns: Int, widest: Double) -> (width: Double, height: Double) {
    let rows = profile.layers.count
    let height = rows <= 48 ? 14.0 : rows <= 128 ? 8 : 3
    let width = (Self.width / Double(max(1, columns))).rounded(.down)
    return (max(1, min(widest, width)), height)
  }

  func headText(row: Int, column: Int) -> String {
    let layer = profile.layers[row]
    let share = Double(layer.counts[column]) / Double(layer.geometry.headDim)
    return "layer \(row), KV head \(column): keeps \(layer.counts[column]) of "
      + "\(layer.geometry.headDim) channels (\(Formatting.percent(share)))"
  }

  func channelText(row: Int, column: Int) -> String {
    let layer = profile.layers[row]
    return "layer \(row), channel \(column): kept by \(layer.channelHeads[column]) of "
      + counted(layer.counts.count, "head")
  }
}
