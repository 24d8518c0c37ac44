import ByteIO
import LeanKMask
import LeanKModel
import LeanKPruning
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

  /// A cache of so many tokens; windowed at its largest.
  struct ContextReport: Encodable {
    struct Bytes: Encodable {
      var keys: Int
      var values: Int

      var total: Int { keys + values }
    }

    var tokens: Int
    var dense: Bytes
    var pruned: Bytes
  }

  /// One of many tasks.
  struct PartReport: Encodable {
    var number: Int
    var count: Int
    var written: [String] = []
    var reused: [String] = []
  }

  var output: String
  var layout: String
  var mode: String
  var maskContentId: String
  var weightBytesIn: Int
  var weightBytesOut: Int
  var bytesNeeded: Int
  var bytesFree: Nullable<Int>
  var cacheBytesPerToken: CacheReport
  var contexts: [ContextReport]
  var part: Nullable<PartReport>
  var shards: [ShardReport]
  var files: [String: Int] = [:]
  var leftOut: [String] = []
  var warnings: [String] = []
  var written = false
  var verified: Nullable<Bool> = Nullable(nil)

  /// With `part`, files and bytes are those of that part.
  init(_ conversion: Conversion, part: ShardPart?, contexts: [Int]) throws {
    let plan = conversion.plan
    let preview = try conversion.preview()
    let chosen = part.map { part in plan.shards(of: part).map { plan.shards[$0] } }
    bytesNeeded = chosen?.reduce(0) { $0 + $1.bytesOut } ?? preview.bytes
    leftOut = preview.leftOut
    let parent = try? DirectoryHandle(path: splitPath(conversion.output).parent)
    bytesFree = Nullable(try? parent?.freeSpace())
    self.part = Nullable(part.map { PartReport(number: $0.number, count: $0.count) })
    self.contexts = try Self.contexts(conversion, contexts)
    output = conversion.output
    layout = plan.layout.rawValue
    mode = conversion.deployment.mode.rawValue
    maskContentId = conversion.maskContentID
    weightBytesIn = plan.bytesIn
    weightBytesOut = plan.bytesOut
    let cache = plan.cachePerToken
    cacheBytesPerToken = CacheReport(
      keysDense: cache.keysDense, keysPruned: cache.keysPruned, values: cache.values)
    shards = (chosen ?? plan.shards).map { shard in
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
    verified = Nullable(isVerified)
  }

  mutating func complete(with result: Conversion.PartResult) {
    written = true
    let all = result.written + result.reused
    files = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0.bytes) })
    part.wrapped?.written = result.written.map(\.name)
    part.wrapped?.reused = result.reused.map(\.name)
  }

  private static func contexts(
    _ conversion: Conversion, _ asked: [Int]
  ) throws -> [ContextReport] {
    let plan = conversion.plan
    var facts = CheckpointFacts(of: conversion.source)
    let channels = plan.mask.layers.reduce(0) { $0 + $1.geometry.channels }
    // As wide as the plan says, whatever config.json calls the type.
    facts.elementBytes = plan.cachePerToken.keysDense / max(1, channels)
    let subject = ReportSubject(
      try MaskDocument(mask: plan.mask), title: "", facts: facts, contexts: asked)
    return subject.contexts.map { tokens in
      let dense = subject.cost.dense(context: tokens)
      let pruned =
        conversion.deployment.window.map { subject.cost.windowed(context: tokens, window: $0) }
        ?? subject.cost.static(context: tokens)
      return ContextReport(
        tokens: tokens, dense: .init(keys: dense.keys, values: dense.values),
        pruned: .init(keys: pruned.keys, values: pruned.values))
    }
  }

  private var title: String {
    let verb = written ? "wrote" : "would write"
    guard let part = part.wrapped else {
      return "\(verb) \(output), layout \(layout), mode \(mode)"
    }
    return
      "\(verb) part \(part.number) of \(part.count) of \(output), layout \(layout), mode \(mode)"
  }

  var text: String {
    if written, let part = part.wrapped {
      return """
        \(title)
        \(part.written.count) files written, \(part.reused.count) were complete; when all parts are \
        there, finish with --commit
        """
    }
    let saved = weightBytesIn - weightBytesOut
    let cache = cacheBytesPerToken
    var lines = [
      title,
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
    ]
    for context in contexts {
      let share = Double(context.pruned.total) / Double(max(1, context.dense.total))
      lines.append(
        Formatting.row(
          "",
          Formatting.padded(Formatting.count(context.tokens), to: 9, onTheLeft: true)
            + " tokens: K and V \(Formatting.bytes(context.dense.total)) -> "
            + "\(Formatting.bytes(context.pruned.total)), \(Formatting.percent(1 - share)) less"))
    }
    lines.append(Formatting.row("mask", maskContentId))
    if !written {
      lines.append(
        Formatting.row(
          "space",
          "\(Formatting.bytes(bytesNeeded)) needed"
            + (bytesFree.wrapped.map {
              ", \(Formatting.bytes($0)) free" + ($0 < bytesNeeded ? ": not enough" : "")
            } ?? "")))
    }
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
