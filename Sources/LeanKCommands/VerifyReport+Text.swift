import LeanKModel
import LeanKReport

extension VerifyReport {
  /// For people.
  var text: String {
    var lines: [String] = []
    if hasStructure { lines += structureLines }
    lines += decodeLines + layerLines + greedyLines + costLines
    lines.append(passed ? "passed" : "FAILED")
    return lines.joined(separator: "\n")
  }

  private var structureLines: [String] {
    guard structure.passed else {
      return [Formatting.row("structure", "\(structure.failures.count) differences")]
        + structure.failures.prefix(40).map { "  " + $0 }
        + (structure.failures.count > 40 ? ["  ... (all of them with --json)"] : [])
    }
    return [
      Formatting.row(
        "structure",
        "layout \(layout?.rawValue ?? ""): every tensor is what the mask asks for "
          + "(\(Formatting.bytes(structure.comparedBytes)) compared)")
    ]
      + [structure.loader.wrapped].compactMap(\.self).map {
        Formatting.row("loader", "that of leank \($0)")
      }
  }

  private var decodeLines: [String] {
    guard let tokens = tokens.wrapped, let prompt = promptLength.wrapped,
      let difference = maxAbsDiff.wrapped, let mean = meanAbsDiff.wrapped,
      let divergence = maxKl.wrapped, let agreement = top1Agreement.wrapped,
      let tolerance = tolerance.wrapped, let drift = drift.wrapped,
      let keys = kCacheBytes.wrapped, let values = vCacheBytes.wrapped
    else { return [] }
    let middle =
      middleKeys.wrapped.map { $0 > 0 ? ", \(Formatting.count($0)) middle keys" : "" } ?? ""
    var lines = [
      Formatting.row(
        "decoded", "\(prompt) tokens in one pass and \(tokens - prompt) one by one\(middle)"),
      Formatting.row(
        "pruned",
        "largest difference from dense + mask \(Formatting.scientific(difference)), mean "
          + "\(Formatting.scientific(mean)); top-1 agreement \(Formatting.percent(agreement)), "
          + "largest KL \(Formatting.scientific(divergence))"),
    ]
    lines += divergenceLines(promptLength: prompt)
    lines += Formatting.wrapped(
      "\(Formatting.scientific(tolerance)): \(toleranceReason.wrapped ?? "")", width: 100
    ).enumerated().map { Formatting.row($0 == 0 ? "tolerance" : "", $1) }
    if !listsLayers, passed,
      let worst = layers.max(by: { $0.maxAbsDiffHidden < $1.maxAbsDiffHidden }),
      worst.maxAbsDiffHidden > 0
    {
      lines.append(
        Formatting.row(
          "layers",
          "\(worst.layer) differs most, by \(Formatting.scientific(worst.maxAbsDiffHidden)) "
            + "(--layers lists all)"))
    }
    let loss = zip([drift.lossDense.wrapped], [drift.lossMasked.wrapped]).map { dense, masked in
      guard let dense, let masked else { return "" }
      return "loss \(Formatting.decimal(dense)) -> \(Formatting.decimal(masked)), "
    }.joined()
    lines.append(
      Formatting.row(
        "drift",
        "\(loss)top-1 agreement \(Formatting.percent(drift.top1Agreement)), largest KL "
          + "\(Formatting.scientific(drift.maxKl)) (the mask's effect, no failure)"))
    lines.append(
      Formatting.row(
        "K cache",
        "\(Formatting.bytes(keys.dense)) -> \(Formatting.bytes(keys.pruned)); V cache "
          + "\(Formatting.bytes(values.dense)) -> \(Formatting.bytes(values.pruned))"))
    return lines
  }

  private var greedyLines: [String] {
    guard let greedy = greedy.wrapped else { return [] }
    func row(_ label: String, _ ids: [Int32]) -> String {
      Formatting.row(label, ids.map(String.init).joined(separator: " "))
    }
    return [
      Formatting.row(
        "greedy",
        zip(greedy.masked, greedy.pruned).enumerated().first { $1.0 != $1.1 }
          .map { "masked and pruned DIFFER from token \($0.offset) on" }
          ?? "masked and pruned agree"),
      row("  dense", greedy.dense), row("  masked", greedy.masked), row("  pruned", greedy.pruned),
    ]
  }

  /// Where masked and pruned part.
  private func divergenceLines(promptLength: Int) -> [String] {
    func place(_ position: Int) -> String {
      position < promptLength
        ? "token \(position), in the prompt"
        : "token \(position), decoded token \(position - promptLength + 1)"
    }
    return [
      firstDifference.wrapped.map { "first beyond the tolerance: " + place($0) },
      firstDisagreement.wrapped.map { "first with another top choice: " + place($0) },
    ].compactMap(\.self).map { Formatting.row("", $0) }
  }

  /// Every layer, when asked for or when something is wrong.
  private var layerLines: [String] {
    guard listsLayers || !passed, !layers.isEmpty else { return [] }
    func row(_ label: String, _ layer: String, _ hidden: String, _ attention: String) -> String {
      Formatting.row(
        label,
        Formatting.padded(layer, to: 8) + Formatting.padded(hidden, to: 16) + attention)
    }
    return [row("layers", "layer", "hidden states", "attention output")]
      + layers.map {
        row(
          "", "\($0.layer)", Formatting.scientific($0.maxAbsDiffHidden),
          Formatting.scientific($0.maxAbsDiffAttention))
      }
  }

  private var costLines: [String] {
    guard let peak = peakMemoryBytes.wrapped else { return [] }
    return [
      Formatting.row(
        "cost", "\(Formatting.fixed(seconds, digits: 1)) s, peak memory \(Formatting.bytes(peak))")
    ]
  }
}
