import LeanKMask
import LeanKReport

/// What `inspect --layer --json` prints: the channels of each head.
struct ChannelReport: Encodable {
  struct Head: Encodable {
    var head: Int
    var width: Int
    var keptCount: Int
    var keptRatio: Double
    var closureCount: Int
    /// By quarter of the rotary frequencies, the fastest first; empty without RoPE.
    var frequencyQuarters: [KeptShare]
    var kept: [Int]
    var closure: [Int]
    var scores: Nullable<[Float]>
    var lowestKept: Nullable<HeadProfile.Scored>
    var highestPruned: Nullable<HeadProfile.Scored>

    init(_ profile: HeadProfile, head: Int) {
      self.head = head
      width = profile.kept.width
      keptCount = profile.kept.count
      keptRatio = Double(keptCount) / Double(width)
      closureCount = profile.closure.count
      frequencyQuarters = profile.quarters
      kept = profile.kept.channels
      closure = profile.closure.channels
      scores = Nullable(profile.scores)
      lowestKept = Nullable(profile.lowestKept)
      highestPruned = Nullable(profile.highestPruned)
    }
  }

  var layer: Int
  var channels: Int
  var kept: Int
  var keptRatio: Double
  var closureKept: Int
  var emptyHeads: Int
  var heads: [Head]

  /// `layer` has to exist; of the heads, the one asked for or all.
  init(_ subject: ReportSubject, layer: Int, head: Int?) {
    let profile = subject.profile.layers[layer]
    self.layer = layer
    channels = profile.geometry.channels
    kept = profile.kept
    keptRatio = profile.share.ratio
    closureKept = profile.closureKept
    emptyHeads = profile.emptyHeads
    heads = (head.map { [$0] } ?? Array(profile.counts.indices)).compactMap { head in
      HeadProfile(of: subject.document, layer: layer, head: head).map { Head($0, head: head) }
    }
  }
}
