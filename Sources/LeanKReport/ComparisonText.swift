import ByteIO

/// What `diff` prints for people.
public struct ComparisonText: Sendable {
  public let comparison: MaskComparison
  public let first: String
  public let second: String

  private static let shownHeads = 16

  public init(_ comparison: MaskComparison, first: String, second: String) {
    self.comparison = comparison
    self.first = first
    self.second = second
  }

  public var lines: [String] {
    var lines = [
      Formatting.row("A", escaped(first, limit: 4096)),
      Formatting.row("B", escaped(second, limit: 4096)),
    ]
    guard comparison.geometryMismatch.isEmpty else {
      return lines
        + [Formatting.row("geometry", "differs, so channels cannot be compared")]
        + comparison.geometryMismatch.prefix(8).map { "  " + $0 }
        + (comparison.geometryMismatch.count > 8
          ? ["  ... \(comparison.geometryMismatch.count - 8) more layers"] : [])
        + ["different"]
    }
    let overall = comparison.overall
    lines.append(
      Formatting.row(
        "mask",
        overall.isEqual
          ? "the same \(Formatting.count(overall.both)) channels"
          : "agreement (Jaccard) \(Formatting.percent(overall.jaccard)): "
            + "\(Formatting.count(overall.both)) kept by both, \(Formatting.count(overall.onlyFirst)) by A "
            + "only, \(Formatting.count(overall.onlySecond)) by B only"))
    if !overall.isEqual { lines += details }
    for change in comparison.records {
      lines += Formatting.rows(
        change.name, "\(escaped(change.first)) -> \(escaped(change.second))")
    }
    for remark in comparison.remarks {
      lines += Formatting.rows(
        "remark", "\(escaped(remark.name)): \(escaped(remark.first)) -> \(escaped(remark.second))")
    }
    return lines + [comparison.isEqual ? "equal" : "different"]
  }

  private var details: [String] {
    var lines: [String] = []
    let layers = comparison.layers
    if let worst = layers.indices.min(by: { layers[$0].jaccard < layers[$1].jaccard }) {
      lines.append(
        Formatting.row(
          "layers",
          Formatting.sparkline(layers.map(\.jaccard), limit: 40)
            + "  \(layers.count { !$0.isEqual }) of \(layers.count) differ, least alike \(worst) ("
            + Formatting.percent(layers[worst].jaccard) + ")"))
    }
    if !comparison.frequencies.isEmpty {
      lines.append(
        Formatting.row(
          "frequency",
          Formatting.sparkline(comparison.frequencies.map(\.jaccard), limit: 32)
            + "  fast to slow, by quarter "
            + comparison.quarters.map { Formatting.fixed($0.jaccard * 100, digits: 1) }
            .joined(separator: " / ") + " %"))
    }
    lines.append(
      Formatting.row("heads", "\(comparison.heads.count) of \(comparison.headCount) differ"))
    let ordered = comparison.heads.sorted {
      ($0.agreement.jaccard, $0.layer, $0.head) < ($1.agreement.jaccard, $1.layer, $1.head)
    }
    for change in ordered.prefix(Self.shownHeads) {
      lines.append(
        "  layer \(change.layer) head \(change.head): \(change.firstCount) -> \(change.secondCount) "
          + "channels, \(change.agreement.onlyFirst) out, \(change.agreement.onlySecond) in, agreement "
          + Formatting.percent(change.agreement.jaccard))
    }
    if ordered.count > Self.shownHeads {
      lines.append("  ... \(ordered.count - Self.shownHeads) more heads (all of them with --json)")
    }
    return lines
  }
}
