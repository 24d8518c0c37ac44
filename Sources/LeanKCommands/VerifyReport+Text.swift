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
  }

  private var decodeLines: [String] {
    guard hasDecoded, let tokens = tokens.wrapped, let prompt = promptLength.wrapped,
      let drift = drift.wrapped, let keys = kCacheBytes.wrapped, let values = vCacheBytes.wrapped
    else { return [] }
    let middle =
      middleKeys.wrapped.map { $0 > 0 ? ", \(Formatting.count($0)) middle keys" : "" } ?? ""
    var lines = [
      Formatting.row(
        "decoded", "\(prompt) tokens in one pass and \(tokens - prompt) one by one\(middle)")
    ]
    lines += verdictLines + divergenceLines(promptLength: prompt)
    if !listsLayers, passed,
      let worst = layers.max(by: { ($0.difference) < ($1.difference) }), worst.difference > 0
    {
      lines.append(
        Formatting.row(
          "layers",
          "\(worst.layer) differs most, by \(Formatting.scientific(worst.difference)) "
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
          + "\(Self.number(drift.maxKl)) (the mask's effect, no failure)"))
    lines.append(
      Formatting.row(
        "K cache",
        "\(Formatting.bytes(keys.dense)) -> \(Formatting.bytes(keys.pruned)); V cache "
          + "\(Formatting.bytes(values.dense)) -> \(Formatting.bytes(values.pruned))"))
    return lines
  }

  /// What was compared, and what passes.
  private var verdictLines: [String] {
    var lines: [String] = []
    if let broken = nonFinite.wrapped {
      let cause =
        broken.side == "dense" ? ": the dense model itself computes no finite logits there" : ""
      lines.append(
        Formatting.row(
          "not finite", "a logit of the \(broken.side) side, first at token \(broken.token)\(cause)"
        ))
    }
    if let exact = exact.wrapped {
      lines.append(
        Formatting.row(
          "exact",
          "largest difference from dense + mask \(Self.number(exact.maxAbsDiff)), both adding in one "
            + "order; 0 passes"))
    }
    let agreement =
      "top-1 agreement \(top1Agreement.wrapped.map { Formatting.percent($0) } ?? "none"), largest KL "
      + Self.number(maxKl)
    if let independent = independent.wrapped {
      lines.append(
        Formatting.row(
          "independent",
          "\(Self.number(independent.maxAbsDiff)) in different orders, "
            + "\(Self.number(independent.limit)) passes: 16 x this run's noise; \(agreement)"))
    }
    if let tolerance = tolerance.wrapped {
      lines.append(
        Formatting.row(
          "pruned",
          "largest difference from dense + mask \(Self.number(maxAbsDiff)), "
            + "\(Formatting.scientific(tolerance)) passes; \(agreement)"))
    }
    return lines
  }

  private static func number(_ value: Nullable<Double>) -> String {
    value.wrapped.map { Formatting.scientific($0) } ?? "not finite"
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
      firstDifference.wrapped.map { "first difference that does not pass: " + place($0) },
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
          "", "\($0.layer)" + ($0.exact ? "" : " *"), Self.number($0.maxAbsDiffHidden),
          Self.number($0.maxAbsDiffAttention))
      }
      + (layers.allSatisfy(\.exact)
        ? [] : [Formatting.row("", "* differs when both add in one order")])
  }

  private var costLines: [String] {
    guard let peak = peakMemoryBytes.wrapped else { return [] }
    return [
      Formatting.row(
        "cost", "\(Formatting.fixed(seconds, digits: 1)) s, peak memory \(Formatting.bytes(peak))")
    ]
  }
}

extension VerifyReport.LayerReport {
  /// Largest difference of hidden states, infinite where they are not finite.
  fileprivate var difference: Double { maxAbsDiffHidden.wrapped ?? .infinity }
}
