import ByteIO
import LeanKCheckpoint
import TensorFiles

/// Executes a conversion in its staging directory.
final class ConversionWriter {
  private let conversion: Conversion
  private let contents: OutputContents
  private let staging: StagingDirectory
  private let observer: Conversion.Observer
  /// Where the weights' files are, when tasks wrote them before.
  private let parts: PartsDirectory?
  private var files: [Conversion.Result.File] = []

  private var source: CheckpointDirectory { conversion.source }
  private var plan: PruningPlan { conversion.plan }

  init(
    conversion: Conversion, contents: OutputContents, staging: StagingDirectory,
    observer: Conversion.Observer, parts: PartsDirectory? = nil
  ) {
    self.conversion = conversion
    self.contents = contents
    self.staging = staging
    self.observer = observer
    self.parts = parts
  }

  /// Shards first, config.json last: until then the directory is no model to anybody.
  func run() throws(PruningError) -> Conversion.Result {
    let meter = WorkMeter(
      total: contents.bytes + plan.bytesOut, of: conversion, observer: observer)
    try checkSpace(contents.bytes + (parts == nil ? plan.bytesOut : 0))

    let writer = ShardWriter(meter: meter)
    // Shards are what takes long: a core moves less than a fast disk takes.
    try meter.concurrently(plan.shards.count, threads: conversion.threads) {
      (index) throws(PruningError) in
      try write(plan.shards[index], from: source.shards[index], with: writer, meter)
    }
    files = plan.shards.map { .init(name: $0.name, bytes: $0.bytesOut) }
    for (name, other) in contents.others {
      let file = try lifting(try staging.create(name))
      try writer.copy(0..<other.size, of: other, to: file)
      try finish(file, name)
    }
    for (name, bytes) in contents.generated {
      let file = try lifting(try staging.create(name))
      try lifting(try file.write(bytes.span))
      try meter.advance(bytes.count)
      try finish(file, name)
    }

    try checkWritten()
    try observer.verify(staging.path)
    try liftingCheckpoint(try source.checkUnchanged())
    try contents.checkUnchanged()
    try meter.checkStop()
    try lifting(try staging.commit())
    return Conversion.Result(
      files: files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) },
      leftOut: contents.leftOut, warnings: plan.warnings)
  }

  private func write(
    _ shard: PruningPlan.Shard, from opened: CheckpointDirectory.Shard, with writer: ShardWriter,
    _ meter: WorkMeter
  ) throws(PruningError) {
    if let parts {
      try lifting(try staging.adopt(shard.name, from: parts))
      try meter.advance(shard.bytesOut)
    } else {
      let file = try lifting(try staging.create(shard.name))
      try writer.write(shard, from: opened.file.file, to: file)
      try lifting(try file.finish())
    }
  }

  private func checkSpace(_ needed: Int) throws(PruningError) {
    let free = try lifting(try staging.freeSpace())
    guard needed <= free else {
      throw PruningError(
        .noSpace, "the output takes \(needed) bytes, \(free) are free", in: conversion.output)
    }
  }

  private func finish(_ file: OutputFile, _ name: String) throws(PruningError) {
    try lifting(try file.finish())
    files.append(.init(name: name, bytes: file.length))
  }

  /// Opens what was written as any reader would and compares sizes and headers with the plan.
  private func checkWritten() throws(PruningError) {
    let written = try liftingCheckpoint(
      try CheckpointDirectory(path: staging.path, acceptingIncomplete: true))
    for (planned, opened) in zip(plan.shards, written.shards) {
      guard planned.name == opened.name, planned.header == opened.file.header,
        planned.bytesOut == opened.file.file.size
      else {
        throw PruningError(
          .verification, "what was written to \(quoted(planned.name)) is not what was planned",
          in: conversion.output)
      }
    }
    for file in files {
      let found = try lifting(try PositionalFile(name: file.name, in: written.directory))
      guard found.size == file.bytes else {
        throw PruningError(
          .verification, "\(quoted(file.name)) has \(found.size) bytes, \(file.bytes) were written",
          in: conversion.output)
      }
    }
    guard written.pruned == conversion.configuration else {
      throw PruningError(
        .verification, "the written config.json does not read back as planned",
        in: conversion.output)
    }
  }
}
