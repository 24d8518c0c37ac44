import LeanKMask

/// What `inspect` says of a mask; the property names are the keys of `--json`.
struct InspectReport: Encodable {
  struct AlignmentReport: Encodable {
    var unit: Int
    var rule: String
    var targetRatio: Nullable<Double>
    var met: Bool
  }

  struct ScoresReport: Encodable {
    var kind: String
    var dtype: String
  }

  struct DeploymentReport: Encodable {
    var mode: String
    var sink: Nullable<Int>
    var recent: Nullable<Int>
    var accumulate: Nullable<Int>
  }

  struct SectionReport: Encodable {
    var tag: String
    var critical: Bool
    var codec: String
    var storedBytes: Int
    var rawBytes: Int
  }

  var model: Nullable<String>
  var layers: Int
  var kvHeads: [Int]
  var queryHeads: [Nullable<Int>]
  var headDim: [Int]
  var rotaryWidth: [Nullable<Int>]
  var pairing: [Nullable<String>]
  var channels: Int
  var channelsKept: Int
  var prunedRatio: Double
  var closureKeptRatio: Double
  var closureAssumed: Bool
  var heads: Int
  var emptyHeads: Int
  var keptCounts: [String: Int]
  var layerKept: [Int]
  var alignment: Nullable<AlignmentReport>
  var scores: Nullable<ScoresReport>
  var deployment: Nullable<DeploymentReport>
  var provenance: [String: String]
  var fileBytes: Nullable<Int>
  var contentId: String
  var sections: [SectionReport]

  init(
    _ document: MaskDocument, contentID: String, fileBytes: Int?, sections: [SectionReport]
  ) {
    let mask = document.mask
    let statistics = MaskStatistics(of: mask)
    let geometries = mask.layers.map(\.geometry)
    model = Nullable(document.provenance[Provenance.model])
    layers = statistics.layers
    kvHeads = geometries.map(\.kvHeads)
    queryHeads = geometries.map { Nullable($0.attention?.queryHeads) }
    headDim = geometries.map(\.headDim)
    rotaryWidth = geometries.map { Nullable($0.attention?.rotary.width) }
    pairing = geometries.map { Nullable($0.attention?.rotary.pairing.rawValue) }
    channels = statistics.channels
    channelsKept = statistics.channelsKept
    prunedRatio = statistics.prunedRatio
    closureKeptRatio = statistics.closureKeptRatio
    closureAssumed = !statistics.rotaryIsKnown
    heads = statistics.heads
    emptyHeads = statistics.emptyHeads
    keptCounts = Dictionary(
      uniqueKeysWithValues: statistics.keptCounts.map { (String($0.key), $0.value) })
    layerKept = mask.layers.map(\.keptCount)
    alignment = Nullable(
      document.alignment.map {
        AlignmentReport(
          unit: $0.unit, rule: $0.rule.rawValue, targetRatio: Nullable($0.targetRatio),
          met: $0.isMet(by: mask))
      })
    scores = Nullable(
      document.scores.map { ScoresReport(kind: $0.kind, dtype: $0.scalar.rawValue) })
    deployment = Nullable(
      document.deployment.map {
        DeploymentReport(
          mode: $0.mode.rawValue, sink: Nullable($0.window?.sink),
          recent: Nullable($0.window?.recent), accumulate: Nullable($0.window?.accumulate))
      })
    provenance = document.provenance.entries
    self.fileBytes = Nullable(fileBytes)
    contentId = contentID
    self.sections = sections
  }
}
