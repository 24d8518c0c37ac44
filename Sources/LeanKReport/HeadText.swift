import LeanKMask

/// What `inspect --layer` and `--head` print: the channels themselves.
public struct HeadText: Sendable {
  public let subject: ReportSubject
  public let layer: Int
  /// nil = all heads of the layer.
  public let head: Int?

  /// nil when the mask has no such layer or head.
  public init?(_ subject: ReportSubject, layer: Int, head: Int? = nil) {
    let layers = subject.document.mask.layers
    guard layers.indices.contains(layer) else { return nil }
    if let head, !layers[layer].heads.indices.contains(head) { return nil }
    self.subject = subject
    self.layer = layer
    self.head = head
  }

  public var lines: [String] { head.map(headLines) ?? layerLines }

  private var mask: LayerMask { subject.document.mask.layers[layer] }

  private var layerLines: [String] {
    let profile = subject.profile.layers[layer]
    let geometry = profile.geometry
    guard geometry.hasCache else { return ["layer \(layer): no K cache of heads"] }
    var lines = [
      "layer \(layer): keeps \(Formatting.count(profile.kept)) of "
        + "\(Formatting.count(geometry.channels)) channels, \(Formatting.percent(profile.share.ratio)); "
        + "rows \(Formatting.count(profile.closureKept)); \(counted(profile.emptyHeads, "empty head"))"
    ]
    lines.append(" head  kept  rows  channels 0 to \(geometry.headDim - 1)\(eighths)")
    for (index, set) in mask.heads.enumerated() {
      lines.append(
        Formatting.padded(String(index), to: 5, onTheLeft: true) + " "
          + Formatting.padded(String(set.count), to: 5, onTheLeft: true) + " "
          + Formatting.padded(String(profile.closureCounts[index]), to: 5, onTheLeft: true) + "  "
          + strip(set))
    }
    return lines
  }

  private var eighths: String {
    let step = stripStep(mask.geometry.headDim)
    return step > 1 ? ", \(step) a mark" : ""
  }

  private func headLines(_ head: Int) -> [String] {
    guard let found = HeadProfile(of: subject.document, layer: layer, head: head) else { return [] }
    let set = found.kept
    var lines = [
      "layer \(layer) head \(head): keeps \(set.count) of \(set.width) channels, "
        + "\(Formatting.percent(Double(set.count) / Double(set.width)))",
      Formatting.row("kept", ranges(set.channels)),
      Formatting.row(
        "rows",
        found.added.isEmpty
          ? (set.isEmpty ? "nothing" : "the same: every kept channel has its partner")
          : "\(found.closure.count): also \(ranges(found.added)), for their rotary partners"),
      Formatting.row("strip", strip(set)),
    ]
    if !found.quarters.isEmpty {
      lines.append(
        Formatting.row(
          "frequency",
          found.quarters.map { "\($0.kept) of \($0.channels)" }.joined(separator: ", ")
            + " by quarter, fast to slow"))
    }
    return lines + scoreLines(found)
  }

  private func scoreLines(_ head: HeadProfile) -> [String] {
    func text(_ items: some Collection<HeadProfile.Scored>) -> String {
      items.map { "\($0.channel) (\(Formatting.scientific(Double($0.score), digits: 4)))" }
        .joined(separator: ", ")
    }
    var lines: [String] = []
    if !head.ranked.isEmpty {
      lines.append(Formatting.row("highest", text(head.ranked.prefix(8))))
    }
    if let lowest = head.lowestKept { lines.append(Formatting.row("lowest kept", text([lowest]))) }
    if let best = head.highestPruned { lines.append(Formatting.row("best pruned", text([best]))) }
    return lines
  }

  /// `0-3, 17, 64-127`
  private func ranges(_ channels: [Int]) -> String {
    channels.isEmpty ? "nothing" : NumberRuns(channels).texts.joined(separator: ", ")
  }

  private func stripStep(_ width: Int) -> Int { max(1, (width + 127) / 128) }

  /// One mark for each channel, or for each few of a wide head: `█` all kept, `·` none.
  private func strip(_ set: ChannelSet) -> String {
    let step = stripStep(set.width)
    let marks: [Character] = ["·", "░", "▒", "▓", "█"]
    return String(
      stride(from: 0, to: set.width, by: step).map { first -> Character in
        let part = first..<min(set.width, first + step)
        let kept = part.count { set[$0] }
        if kept == 0 { return marks[0] }
        return kept == part.count ? marks[4] : marks[max(1, kept * 4 / part.count)]
      })
  }
}
