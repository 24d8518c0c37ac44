public import LeanKMask

/// How much two sets of kept channels have in common.
public struct Agreement: Sendable, Hashable {
  public var both = 0
  public var onlyFirst = 0
  public var onlySecond = 0

  /// Jaccard index, |A and B| / |A or B|; 1 when both keep nothing.
  public var jaccard: Double {
    let union = both + onlyFirst + onlySecond
    return union == 0 ? 1 : Double(both) / Double(union)
  }

  public var isEqual: Bool { onlyFirst == 0 && onlySecond == 0 }

  static func += (left: inout Agreement, right: Agreement) {
    left.both += right.both
    left.onlyFirst += right.onlyFirst
    left.onlySecond += right.onlySecond
  }
}

/// What `diff` finds between two masks.
public struct MaskComparison: Sendable {
  /// A head that keeps different channels.
  public struct HeadChange: Sendable, Hashable {
    public let layer: Int
    public let head: Int
    public let agreement: Agreement
    public let firstCount: Int
    public let secondCount: Int
  }

  /// Something recorded beside the bits that differs, in words.
  public struct RecordChange: Sendable, Hashable {
    public let name: String
    public let first: String
    public let second: String
  }

  /// Where the shapes differ, in sentences; nothing else is compared then.
  public let geometryMismatch: [String]
  public let overall: Agreement
  public let layers: [Agreement]
  /// By rotary frequency, fastest first; empty unless all rotating layers have one rotary width.
  public let frequencies: [Agreement]
  public let heads: [HeadChange]
  public let headCount: Int
  /// Alignment, scores and deployment; these count as differences.
  public let records: [RecordChange]
  /// Provenance, and geometry that only one side records; these do not.
  public let remarks: [RecordChange]

  public var isEqual: Bool {
    geometryMismatch.isEmpty && overall.isEqual && records.isEmpty
  }

  /// By quarter of the frequencies, fastest first; empty where `frequencies` is.
  public var quarters: [Agreement] {
    guard !frequencies.isEmpty else { return [] }
    var result = [Agreement](repeating: Agreement(), count: 4)
    for (index, agreement) in frequencies.enumerated() {
      result[index * 4 / frequencies.count] += agreement
    }
    return result
  }

  public init(_ first: MaskDocument, _ second: MaskDocument) {
    geometryMismatch = Self.mismatch(first.mask, second.mask)
    headCount = first.mask.layers.reduce(0) { $0 + $1.heads.count }
    records = Self.records(first, second)
    remarks = Self.remarks(first, second)
    guard geometryMismatch.isEmpty else {
      (overall, layers, frequencies, heads) = (Agreement(), [], [], [])
      return
    }
    var byLayer: [Agreement] = []
    var changes: [HeadChange] = []
    let rotary = zip(first.mask.layers, second.mask.layers).map(Self.rotary)
    let widths = Set(rotary.map(\.width)).subtracting([0])
    var byFrequency = [Agreement](
      repeating: Agreement(), count: widths.count == 1 ? (widths.first ?? 0) / 2 : 0)
    for (layer, pair) in zip(first.mask.layers, second.mask.layers).enumerated() {
      var sum = Agreement()
      for (head, sets) in zip(pair.0.heads, pair.1.heads).enumerated() {
        var agreement = Agreement()
        for channel in 0..<sets.0.width {
          let found = Self.agreement(sets.0[channel], sets.1[channel])
          agreement += found
          if let index = rotary[layer].frequencyIndex(of: channel), index < byFrequency.count {
            byFrequency[index] += found
          }
        }
        if !agreement.isEqual {
          changes.append(
            HeadChange(
              layer: layer, head: head, agreement: agreement, firstCount: sets.0.count,
              secondCount: sets.1.count))
        }
        sum += agreement
      }
      byLayer.append(sum)
    }
    var sum = Agreement()
    for layer in byLayer { sum += layer }
    (overall, layers, frequencies, heads) = (sum, byLayer, byFrequency, changes)
  }

  private static func agreement(_ first: Bool, _ second: Bool) -> Agreement {
    Agreement(
      both: first && second ? 1 : 0, onlyFirst: first && !second ? 1 : 0,
      onlySecond: !first && second ? 1 : 0)
  }

  /// The rotation that either side records, else the assumed one.
  private static func rotary(_ first: LayerMask, _ second: LayerMask) -> RotaryGeometry {
    (first.geometry.attention == nil ? second : first).geometry.rotaryOrAssumed
  }

  private static func mismatch(_ first: ChannelMask, _ second: ChannelMask) -> [String] {
    guard first.layers.count == second.layers.count else {
      return ["\(first.layers.count) layers against \(second.layers.count)"]
    }
    var result: [String] = []
    for (index, (one, other)) in zip(first.layers, second.layers).enumerated() {
      let (a, b) = (one.geometry, other.geometry)
      if a.kvHeads != b.kvHeads || a.headDim != b.headDim {
        result.append(
          "layer \(index): \(a.kvHeads) KV heads of \(a.headDim) channels against \(b.kvHeads) of "
            + "\(b.headDim)")
      } else if let mine = a.attention, let theirs = b.attention, mine != theirs {
        result.append(
          "layer \(index): \(mine.queryHeads) query heads, \(mine.rotary.pairing.rawValue) rotary width "
            + "\(mine.rotary.width), values of \(a.valueDim) against \(theirs.queryHeads), "
            + "\(theirs.rotary.pairing.rawValue) \(theirs.rotary.width), \(b.valueDim)")
      }
    }
    return result
  }

  private static func records(_ first: MaskDocument, _ second: MaskDocument) -> [RecordChange] {
    [
      change("alignment", first.alignment, second.alignment, alignmentText),
      change("scores", first.scores, second.scores) { scores in
        scores.map { "\($0.kind) \($0.scalar.rawValue)" } ?? "none"
      },
      // A mask that records no use is used statically.
      change(
        "deployment", first.deployment ?? .static, second.deployment ?? .static, deploymentText),
    ].compactMap(\.self)
  }

  private static func remarks(_ first: MaskDocument, _ second: MaskDocument) -> [RecordChange] {
    var result: [RecordChange] = []
    let knows = (first.mask.knowsAttention, second.mask.knowsAttention)
    if knows.0 != knows.1 {
      result.append(
        RecordChange(
          name: "rotary geometry", first: knows.0 ? "recorded" : "not recorded",
          second: knows.1 ? "recorded" : "not recorded"))
    }
    let (mine, theirs) = (first.provenance.entries, second.provenance.entries)
    for key in Set(mine.keys).union(theirs.keys).sorted() where mine[key] != theirs[key] {
      result.append(
        RecordChange(name: key, first: mine[key] ?? "none", second: theirs[key] ?? "none"))
    }
    return result
  }

  private static func change<Value: Equatable>(
    _ name: String, _ first: Value, _ second: Value, _ text: (Value) -> String
  ) -> RecordChange? {
    guard first != second else { return nil }
    let (a, b) = (text(first), text(second))
    return RecordChange(name: name, first: a, second: a == b ? b + ", other values" : b)
  }
}

/// Unit, rule and target of an alignment, in words.
func alignmentText(_ alignment: Alignment?) -> String {
  guard let alignment else { return "not recorded" }
  let target = alignment.targetRatio.map { ", target \(Formatting.percent($0))" } ?? ""
  return "\(alignment.unit), rule \(alignment.rule.rawValue)\(target)"
}
