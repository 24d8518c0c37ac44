import LeanKCheckpoint
import LeanKMask
import LeanKReport

/// What `convert` did or would do; the property names are the keys of `--json`.
struct ConversionReport: Encodable {
  struct ShardReport: Encodable {
    var name: String
    var bytesIn: Int
    var bytesOut: Int
    var tensorsCopied: Int
    var tensorsSliced: Int
    var tensorsZeroed: Int
  }

  struct CacheReport: Encodable {
    var keysDense: Int
    var keysPruned: Int
    var values: Int
  }

  var output: String
  var layout: String
  var mode: String
  var maskContentId: String
  var weightBytesIn: Int
  var weightBytesOut: Int
  var cacheBytesPerToken: CacheReport
  var shards: [ShardReport]
  var files: [String: Int] = [:]
  var leftOut: [String] = []
  var warnings: [String] = []
  var written = false
  var verified: Nullable<Bool> = Nullable(nil)

  init(_ conversion: Conversion) {
    let plan = conversion.plan
    output = conversion.output
    layout = plan.layout.rawValue
    mode = conversion.deployment.mode.rawValue
    maskContentId = conversion.maskContentID
    weightBytesIn = plan.bytesIn
    weightBytesOut = plan.bytesOut
    let cache = plan.cachePerToken
    cacheBytesPerToken = CacheReport(
      keysDense: cache.keysDense, keysPruned: cache.keysPruned, values: cache.values)
    shards = plan.shards.map { shard in
      var report = ShardReport(
        name: shard.name, bytesIn: shard.bytesIn, bytesOut: shard.bytesOut, tensorsCopied: 0,
        tensorsSliced: 0, tensorsZeroed: 0)
      for tensor in shard.tensors {
        switch tensor.action {
        case .copy: report.tensorsCopied += 1
        case .keep: report.tensorsSliced += 1
        case .zero: report.tensorsZeroed += 1
        }
      }
      return report
    }
  }

  mutating func complete(with result: Conversion.Result, isVerified: Bool?) {
    written = true
    files = Dictionary(uniqueKeysWithValues: result.files.map { ($0.name, $0.bytes) })
    leftOut = result.leftOut
    warnings += result.warnings
    verified = Nullable(isVerified)
  }

  var text: String {
    let saved = weightBytesIn - weightBytesOut
    let cache = cacheBytesPerToken
    var lines = [
      "\(written ? "wrote" : "would write") \(output), layout \(layout), mode \(mode)",
      Formatting.row(
        "weights",
        "\(Formatting.bytes(weightBytesIn)) -> \(Formatting.bytes(weightBytesOut))"
          + (saved > 0
            ? ", \(Formatting.percent(Double(saved) / Double(max(1, weightBytesIn)))) less" : "")),
      Formatting.row(
        "K cache",
        "\(Formatting.bytes(cache.keysDense)) -> \(Formatting.bytes(cache.keysPruned)) a token, "
          + "\(Formatting.percent(1 - Double(cache.keysPruned) / Double(max(1, cache.keysDense)))) less"
          + (mode == "windowed" ? " for middle tokens" : "")),
      Formatting.row("mask", maskContentId),
    ]
    for shard in shards.prefix(written ? 0 : 24) {
      lines.append(
        "  \(shard.name): \(Formatting.bytes(shard.bytesIn)) -> \(Formatting.bytes(shard.bytesOut)), "
          + "\(shard.tensorsSliced) tensors sliced, \(shard.tensorsZeroed) zeroed, "
          + "\(shard.tensorsCopied) copied")
    }
    if !written, shards.count > 24 { lines.append("  ... \(shards.count - 24) more files") }
    if !leftOut.isEmpty {
      lines.append(Formatting.row("left out", leftOut.joined(separator: ", ")))
    }
    if let verified = verified.wrapped {
      lines.append(
        Formatting.row("verified", verified ? "every tensor is what the mask asks for" : "no"))
    }
    return lines.joined(separator: "\n")
  }
}
