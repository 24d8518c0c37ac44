public import LeanKMask

/// Shapes of layers in words.
public enum GeometryText {
  /// `8 KV heads of 128 channels, 32 query heads, half pairs over 128`
  public static func shape(_ geometry: LayerGeometry) -> String {
    guard geometry.hasCache else { return "no K cache of heads" }
    let keys =
      "\(counted(geometry.kvHeads, "KV head")) of \(counted(geometry.headDim, "channel"))"
    guard let attention = geometry.attention else {
      return keys + "; query heads and RoPE not recorded"
    }
    let rotary =
      attention.rotary.width == 0
      ? "no RoPE" : "\(attention.rotary.pairing.rawValue) pairs over \(attention.rotary.width)"
    let values = attention.valueDim.map { ", values of \($0)" } ?? ""
    return "\(keys)\(values), \(counted(attention.queryHeads, "query head")), \(rotary)"
  }

  /// Each different text once, with the layers it holds for: `layers 0-2, 4: ...`.
  public static func grouped(_ texts: [String]) -> [String] {
    var order: [String] = []
    var members: [String: [Int]] = [:]
    for (layer, text) in texts.enumerated() {
      if members[text] == nil { order.append(text) }
      members[text, default: []].append(layer)
    }
    guard order.count > 1 else { return order.map { "\(counted(texts.count, "layer")): \($0)" } }
    return order.map {
      "\(members[$0]?.count == 1 ? "layer" : "layers") \(runs(members[$0] ?? [])): \($0)"
    }
  }

  /// The shapes of a mask's layers, at most `limit` of them.
  static func lines(_ mask: ChannelMask, limit: Int) -> [String] {
    let texts = mask.layers.map { shape($0.geometry) }
    let lines = grouped(texts)
    guard lines.count > 1 else { return ["\(counted(texts.count, "layer")) of \(texts[0])"] }
    guard lines.count > limit else { return lines }
    return lines.prefix(limit - 1)
      + ["and \(lines.count - limit + 1) more shapes (all of them with --json)"]
  }

  /// `0-3, 5`
  private static func runs(_ numbers: [Int]) -> String {
    let runs = NumberRuns(numbers).texts
    return runs.prefix(12).joined(separator: ", ") + (runs.count > 12 ? ", ..." : "")
  }
}

/// Ascending numbers, neighbours joined.
struct NumberRuns {
  /// `0-3`, `5`
  let texts: [String]

  init(_ numbers: [Int]) {
    var runs: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    texts = runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
  }
}
