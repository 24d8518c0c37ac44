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

    init(_ alignment: Alignment, of mask: ChannelMask) {
      unit = alignment.unit
      rule = alignment.rule.rawValue
      targetRatio = Nullable(alignment.targetRatio)
      met = alignment.isMet(by: mask)
    }
  }

  struct DeploymentReport: Encodable {
    var mode: String
    var sink: Nullable<Int>
    var recent: Nullable<Int>
    var accumulate: Nullable<Int>
    var prefill: Nullable<String>
    var emptyHeads: Nullable<String>

    init(_ hints: DeploymentHints) {
      mode = hints.mode.rawValue
      sink = Nullable(hints.window?.sink)
      recent = Nullable(hints.window?.recent)
      accumulate = Nullable(hints.window?.accumulate)
      prefill = Nullable(hints.window?.prefill.rawValue)
      emptyHeads = Nullable(hints.window?.emptyHeads.rawValue)
    }
  }

  struct SectionReport: Encodable {
    var tag: String
    var instance: Int
    var known: Bool
    var critical: Bool
    var codec: String
    var storedBytes: Int
    var rawBytes: Int

    init(_ section: SectionSummary) {
      tag = section.tag
      instance = section.instance
      known = section.isKnown
      critical = section.isCritical
      codec = "\(section.codec)"
      storedBytes = section.storedLength
      rawBytes = section.rawLength
    }
  }

  var model: Nullable<String>
  var layers: Int
  var kvHeads: [Int]
  var queryHeads: [Nullable<Int>]
  var headDim: [Int]
  var valueDim: [Nullable<Int>]
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
  /// The mask that the other keys are about, and all masks of the file.
  var instance: Int
  var instances: [InstanceReport]

  init(_ subject: ReportSubject, of source: InspectedMask) {
    let document = subject.document
    let statistics = subject.profile.statistics
    let geometries = document.mask.layers.map(\.geometry)
    model = Nullable(subject.modelName)
    layers = statistics.layers
    kvHeads = geometries.map(\.kvHeads)
    queryHeads = geometries.map { Nullable($0.attention?.queryHeads) }
    headDim = geometries.map(\.headDim)
    valueDim = geometries.map { Nullable($0.attention == nil ? nil : $0.valueDim) }
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
      document.alignment.map { AlignmentReport($0, of: document.mask) })
    scores = Nullable(document.scores.map { ScoresReport($0, subject.scores) })
    deployment = Nullable(document.deployment.map(DeploymentReport.init))
    layout = Nullable(source.layout?.rawValue)
    weightBytes = Nullable(subject.facts.weightBytes)
    rowsWeightBytes = Nullable(subject.facts.rowsWeightBytes)
    advice = Advice.on(subject).map(AdviceReport.init)
    provenance = document.provenance.entries
    fileBytes = Nullable(subject.fileBytes)
    contentId = Nullable(subject.contentID)
    sections = (source.file?.sections ?? []).map(SectionReport.init)
    instance = source.instance
    instances = source.file.map(InstanceReport.all) ?? []
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
