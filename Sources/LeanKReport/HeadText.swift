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
    let set = mask.heads[head]
    let closure = mask.closure[head]
    let added = ChannelSet(width: set.width, channels: closure.channels.filter { !set[$0] })
    var lines = [
      "layer \(layer) head \(head): keeps \(set.count) of \(set.width) channels, "
        + "\(Formatting.percent(Double(set.count) / Double(set.width)))",
      Formatting.row("kept", ranges(set)),
      Formatting.row(
        "rows",
        added.isEmpty
          ? "the same: every kept channel has its partner"
          : "\(closure.count): also \(ranges(added)), for their rotary partners"),
      Formatting.row("strip", strip(set)),
    ]
    let rotary = mask.geometry.rotaryOrAssumed
    if rotary.width > 0 {
      var quarters = [KeptShare](repeating: KeptShare(), count: 4)
      for channel in 0..<rotary.width {
        guard let index = rotary.frequencyIndex(of: channel) else { continue }
        quarters[index * 8 / rotary.width] += KeptShare(kept: set[channel] ? 1 : 0, channels: 1)
      }
      lines.append(
        Formatting.row(
          "frequency",
          quarters.map { "\($0.kept) of \($0.channels)" }.joined(separator: ", ")
            + " by quarter, fast to slow"))
    }
    return lines + scoreLines(head)
  }

  private func scoreLines(_ head: Int) -> [String] {
    guard let scores = subject.document.scores else { return [] }
    let before = subject.document.mask.layers[..<layer].reduce(0) { $0 + $1.geometry.channels }
    let first = before + head * mask.geometry.headDim
    let set = mask.heads[head]
    let ranked = (0..<set.width).map { (channel: $0, score: scores[first + $0]) }
      .sorted { ($1.score, $0.channel) < ($0.score, $1.channel) }
    func text(_ items: some Collection<(channel: Int, score: Float)>) -> String {
      items.map { "\($0.channel) \(Formatting.short(Double($0.score), digits: 4))" }
        .joined(separator: ", ")
    }
    var lines = [Formatting.row("highest", text(ranked.prefix(8)))]
    if let lowest = ranked.last(where: { set[$0.channel] }) {
      lines.append(Formatting.row("lowest kept", text([lowest])))
    }
    if let highest = ranked.first(where: { !set[$0.channel] }) {
      lines.append(Formatting.row("best pruned", text([highest])))
    }
    return lines
  }

  /// `0-3, 17, 64-127`
  private func ranges(_ set: ChannelSet) -> String {
    var result: [String] = []
    var rest = set.channels[...]
    while let first = rest.first {
      var last = first
      rest = rest.dropFirst()
      while let next = rest.first, next == last + 1 { (last, rest) = (next, rest.dropFirst()) }
      result.append(first == last ? "\(first)" : "\(first)-\(last)")
    }
    return result.isEmpty ? "nothing" : result.joined(separator: ", ")
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
