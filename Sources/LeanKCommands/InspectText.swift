import ByteIO
import LeanKMask

/// The screenful that `inspect` prints for people.
struct InspectText {
  let document: MaskDocument
  let title: String
  let contentID: String
  let fileBytes: Int?

  var lines: [String] {
    let statistics = MaskStatistics(of: document.mask)
    var lines = [escaped(title, limit: 4096)]
    lines.append(
      Formatting.row(
        "file",
        (fileBytes.map { Formatting.count($0) + " bytes, " } ?? "") + "content id \(contentID)"))
    if let model = document.provenance[Provenance.model] {
      lines.append(Formatting.row("model", escaped(model)))
    }
    lines.append(Formatting.row("geometry", geometry))
    lines.append(
      Formatting.row(
        "kept",
        "\(Formatting.count(statistics.channelsKept)) of \(Formatting.count(statistics.channels)) channels, "
          + "pruned \(Formatting.percent(statistics.prunedRatio))"))
    lines.append(Formatting.row("closure", closure(statistics)))
    lines.append(Formatting.row("heads", heads(statistics)))
    lines.append(Formatting.row("alignment", alignment))
    if let scores = document.scores {
      lines.append(Formatting.row("scores", "\(escaped(scores.kind)), \(scores.scalar.rawValue)"))
    }
    lines.append(Formatting.row("use", use))
    for (key, value) in document.provenance.entries.sorted(by: { $0.key < $1.key })
    where key != Provenance.model {
      lines.append(Formatting.row(escaped(key), escaped(value)))
    }
    return lines + [""] + profile
  }

  private var geometry: String {
    let geometries = document.mask.layers.map(\.geometry)
    let kinds = Set(geometries)
    guard kinds.count == 1, let first = geometries.first else {
      return "\(geometries.count) layers of \(kinds.count) shapes"
    }
    let shape =
      "\(geometries.count) layers of \(first.kvHeads) KV heads of \(first.headDim) channels"
    guard let attention = first.attention else {
      return shape + "; query heads and RoPE not recorded"
    }
    let rotary =
      attention.rotary.width == 0
      ? "no RoPE" : "\(attention.rotary.pairing) pairs over \(attention.rotary.width) channels"
    return shape + ", \(attention.queryHeads) query heads, \(rotary)"
  }

  private func closure(_ statistics: MaskStatistics) -> String {
    let assumed = statistics.rotaryIsKnown ? "" : " (assuming half pairs over the whole head)"
    if statistics.isPairClosed {
      return "the mask is pair-closed\(assumed): rows keep what the cache keeps"
    }
    return
      "\(Formatting.percent(statistics.closureKeptRatio)) of the rows have to stay for their partners\(assumed)"
  }

  private func heads(_ statistics: MaskStatistics) -> String {
    let counts = statistics.keptCounts.sorted { $0.key < $1.key }
    let shown = counts.prefix(8).map { "\($0.key) x \($0.value)" }.joined(separator: ", ")
    let more = counts.count > 8 ? ", ... (\(counts.count) different counts)" : ""
    return
      "\(statistics.heads), empty \(statistics.emptyHeads); kept channels x heads: \(shown)\(more)"
  }

  private var alignment: String {
    guard let alignment = document.alignment else { return "not recorded" }
    let target = alignment.targetRatio.map { ", target \(Formatting.percent($0))" } ?? ""
    let met = alignment.isMet(by: document.mask) ? "met" : "NOT met: " + misaligned(alignment)
    return "\(alignment.unit), rule \(alignment.rule.rawValue)\(target), \(met)"
  }

  private func misaligned(_ alignment: Alignment) -> String {
    for (index, layer) in document.mask.layers.enumerated() {
      for (head, set) in layer.heads.enumerated() where !alignment.isMet(by: set) {
        return "layer \(index) head \(head) keeps \(set.count)"
      }
    }
    return ""
  }

  private var use: String {
    switch document.deployment {
    case nil: "not recorded"
    case .static: "static: every query and key uses the kept channels only"
    case .windowed(let window):
      "windowed: sink \(window.sink), recent \(window.recent), accumulate \(window.accumulate)"
    }
  }

  /// Kept share by layer: a bar and the kept count of each head.
  private var profile: [String] {
    ["layer   kept             by head"]
      + document.mask.layers.enumerated().map { index, layer in
        let share = Double(layer.keptCount) / Double(layer.geometry.channels)
        let number = String(repeating: " ", count: max(0, 5 - String(index).count)) + String(index)
        let heads = layer.heads.prefix(16).map { String($0.count) }.joined(separator: " ")
        let percent = String(Int((share * 100).rounded()))
        let padded = String(repeating: " ", count: max(0, 3 - percent.count)) + percent
        return "\(number)  \(padded) %  \(Formatting.bar(share, width: 8))  \(heads)"
          + (layer.heads.count > 16 ? " ..." : "")
      }
  }
}
