import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKReport

/// What `inspect` says of a mask; the property names are the keys of `--json`.
struct InspectReport: Encodable {
  struct AlignmentReport: Encodable {
    var unit: Int
    var rule: String
    var targetRatio: Nullable<Double>
    var met: Bool
  }

  struct DeploymentReport: Encodable {
    var mode: String
    var sink: Nullable<Int>
    var recent: Nullable<Int>
    var accumulate: Nullable<Int>
  }

  struct SectionReport: Encodable {
    var tag: String
    var known: Bool
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
  var keptRatio: Double
  var prunedRatio: Double
  var closureKeptRatio: Double
  var closureAssumed: Bool
  var heads: Int
  var emptyHeads: Int
  var emptyHeadsRatio: Double
  var keptCounts: [String: Int]
  var layerKept: [Int]
  var profile: ProfileReport
  var cache: CacheReport
  var alignment: Nullable<AlignmentReport>
  var scores: Nullable<ScoresReport>
  var deployment: Nullable<DeploymentReport>
  var layout: Nullable<String>
  var weightBytes: Nullable<Int>
  var rowsWeightBytes: Nullable<Int>
  var advice: [AdviceReport]
  var provenance: [String: String]
  var fileBytes: Nullable<Int>
  var contentId: Nullable<String>
  var sections: [SectionReport]

  init(_ subject: ReportSubject, file: LeankFile?, layout: PruningLayout?) {
    let document = subject.document
    let statistics = subject.profile.statistics
    let geometries = document.mask.layers.map(\.geometry)
    model = Nullable(subject.modelName)
    layers = statistics.layers
    kvHeads = geometries.map(\.kvHeads)
    queryHeads = geometries.map { Nullable($0.attention?.queryHeads) }
    headDim = geometries.map(\.headDim)
    rotaryWidth = geometries.map { Nullable($0.attention?.rotary.width) }
    pairing = geometries.map { Nullable($0.attention?.rotary.pairing.rawValue) }
    channels = statistics.channels
    channelsKept = statistics.channelsKept
    keptRatio = statistics.keptRatio
    prunedRatio = statistics.prunedRatio
    closureKeptRatio = statistics.closureKeptRatio
    closureAssumed = !statistics.rotaryIsKnown
    heads = statistics.heads
    emptyHeads = statistics.emptyHeads
    emptyHeadsRatio = Double(statistics.emptyHeads) / Double(statistics.heads)
    keptCounts = Dictionary(
      uniqueKeysWithValues: statistics.keptCounts.map { (String($0.key), $0.value) })
    layerKept = subject.profile.layers.map(\.kept)
    profile = ProfileReport(subject.profile)
    cache = CacheReport(subject)
    alignment = Nullable(
      document.alignment.map {
        AlignmentReport(
          unit: $0.unit, rule: $0.rule.rawValue, targetRatio: Nullable($0.targetRatio),
          met: $0.isMet(by: document.mask))
      })
    scores = Nullable(document.scores.map { ScoresReport($0, subject.scores) })
    deployment = Nullable(
      document.deployment.map {
        DeploymentReport(
          mode: $0.mode.rawValue, sink: Nullable($0.window?.sink),
          recent: Nullable($0.window?.recent), accumulate: Nullable($0.window?.accumulate))
      })
    self.layout = Nullable(layout?.rawValue)
    weightBytes = Nullable(subject.facts.weightBytes)
    rowsWeightBytes = Nullable(subject.facts.rowsWeightBytes)
    advice = Advice.on(subject).map(AdviceReport.init)
    provenance = document.provenance.entries
    fileBytes = Nullable(subject.fileBytes)
    contentId = Nullable(subject.contentID)
    sections = (file?.sections ?? []).map {
      SectionReport(
        tag: $0.tag, known: $0.isKnown, critical: $0.isCritical, codec: "\($0.codec)",
        storedBytes: $0.storedLength, rawBytes: $0.rawLength)
    }
  }
}

/// `advice[]`
struct AdviceReport: Encodable {
  var topic: String
  var severity: String
  var text: String
  var numbers: [String: Double]

  init(_ advice: Advice) {
    topic = advice.topic.rawValue
    severity = advice.severity.rawValue
    text = advice.text
    numbers = advice.numbers
  }
}

/// `scores`: kind and type, and how kept and pruned channels score.
struct ScoresReport: Encodable {
  struct Bin: Encodable {
    var lower: Double
    var upper: Double
    var kept: Int
    var pruned: Int
  }

  var kind: String
  var dtype: String
  var minimum: Nullable<Double>
  var maximum: Nullable<Double>
  var threshold: Nullable<Double>
  var thresholdRatio: Nullable<Double>
  var keptBelowThreshold: Nullable<Int>
  var prunedAboveThreshold: Nullable<Int>
  /// Infinite scores, which stand in no bin.
  var infinite: Nullable<Int>
  var histogram: [Bin]

  init(_ scores: ImportanceScores, _ found: ScoreDistribution?) {
    kind = scores.kind
    dtype = scores.scalar.rawValue
    minimum = Nullable(found?.minimum)
    maximum = Nullable(found?.maximum)
    threshold = Nullable(found?.threshold)
    thresholdRatio = Nullable(found?.ratio)
    keptBelowThreshold = Nullable(found?.keptBelow)
    prunedAboveThreshold = Nullable(found?.prunedAbove)
    infinite = Nullable(found?.infinite)
    histogram = (found?.bins ?? []).map {
      Bin(lower: $0.lower, upper: $0.upper, kept: $0.kept, pruned: $0.pruned)
    }
  }
}
