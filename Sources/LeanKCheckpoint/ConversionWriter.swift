import ByteIO
import TensorFiles

/// Executes a conversion in its staging directory.
final class ConversionWriter {
  private let conversion: Conversion
  private let staging: StagingDirectory
  private let observer: Conversion.Observer
  private var files: [Conversion.Result.File] = []
  private var leftOut: [String] = []
  private var others: [PositionalFile] = []
  private var done = 0
  private var total = 0

  private var source: CheckpointDirectory { conversion.source }
  private var plan: PruningPlan { conversion.plan }

  /// Runs of rows up to this size are gathered in a buffer; longer ones are copied range by range.
  private static let gatherLimit = 128 << 10

  init(
    conversion: Conversion, staging: StagingDirectory, observer: Conversion.Observer
  ) {
    self.conversion = conversion
    self.staging = staging
    self.observer = observer
  }

  /// Shards first, config.json last: until then the directory is no model to anybody.
  func run() throws(CheckpointError) -> Conversion.Result {
    let names = try chooseOtherFiles()
    let index = source.index.map {
      $0.rewritten(totalSize: plan.tensorBytes, totalParameters: plan.elements)
    }
    let object = Array(conversion.configuration.json.utf8)
    let configuration = source.configuration.inserting(object)
    let small = conversion.mask.count + (index?.count ?? 0) + configuration.count
    total = plan.bytesOut + others.reduce(small) { $0 + $1.size }
    try checkSpace()

    for (planned, opened) in zip(plan.shards, source.shards) {
      try write(planned, from: opened.file.file)
    }
    for (name, file) in zip(names, others) { try copy(file, to: name) }
    try write(conversion.mask, to: PrunedConfiguration.maskFileName)
    if let index { try write(index, to: ShardIndex.fileName) }
    try write(configuration, to: ModelConfiguration.fileName)

    try checkWritten()
    try observer.verify(staging.path)
    try source.checkUnchanged()
    for file in others { try lifting(try file.checkUnchanged()) }
    try checkStop()
    try lifting(try staging.commit())
    return Conversion.Result(
      files: files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) },
      leftOut: leftOut, warnings: plan.warnings)
  }

  // MARK: - Before writing

  /// Opens every other regular file of the source and returns their names; notes what stays behind.
  private func chooseOtherFiles() throws(CheckpointError) -> [String] {
    let written = Set(
      source.shards.map(\.name) + [ModelConfiguration.fileName, ShardIndex.fileName])
    var chosen: [String] = []
    for name in try lifting(try source.directory.names()) where !written.contains(name) {
      // A link that leads nowhere has no kind.
      let kind = try lifting(try source.directory.kind(of: name))
      guard kind == .regular, DirectoryHandle.isPlainName(name),
        name != PrunedConfiguration.maskFileName, !ForeignFile.isWeights(name),
        !ForeignFile.isIndex(name)
      else {
        leftOut.append(kind == .directory ? name + "/" : name)
        continue
      }
      others.append(try lifting(try PositionalFile(name: name, in: source.directory)))
      chosen.append(name)
    }
    return chosen
  }

  private func checkSpace() throws(CheckpointError) {
    let free = try lifting(try staging.freeSpace())
    guard total <= free else {
      throw CheckpointError(
        .noSpace, "the output takes \(total) bytes, \(free) are free", in: conversion.output)
    }
  }

  // MARK: - Writing

  private func write(
    _ shard: PruningPlan.Shard, from source: PositionalFile
  ) throws(CheckpointError) {
    let file = try lifting(try staging.create(shard.name))
    let header = shard.header.encoded
    try lifting(try file.write(header.span))
    try advance(header.count)
    var buffer = GatherBuffer(capacity: OutputFile.pieceSize)
    for segment in shard.segments {
      switch segment {
      case .source(let range) where range.count > Self.gatherLimit:
        try flush(&buffer, to: file)
        try copy(range, of: source, to: file)
      case .source(let range):
        if buffer.free < range.count { try flush(&buffer, to: file) }
        try lifting(try buffer.append(range, of: source))
      case .zeros(let count):
        var rest = count
        while rest > 0 {
          if buffer.free == 0 { try flush(&buffer, to: file) }
          rest -= buffer.appendZeros(rest)
        }
      }
    }
    try flush(&buffer, to: file)
    try finish(file, shard.name)
  }

  private func flush(_ buffer: inout GatherBuffer, to file: OutputFile) throws(CheckpointError) {
    let count = buffer.count
    try lifting(try buffer.flush(to: file))
    try advance(count)
  }

  private func copy(
    _ range: Range<Int>, of source: PositionalFile, to file: OutputFile
  ) throws(CheckpointError) {
    var isStopped = false
    try lifting(
      try file.copy(range, of: source) { count in
        note(count)
        isStopped = observer.shouldStop()
        return !isStopped
      })
    if isStopped { throw interruption }
  }

  private func copy(_ other: PositionalFile, to name: String) throws(CheckpointError) {
    let file = try lifting(try staging.create(name))
    try copy(0..<other.size, of: other, to: file)
    try finish(file, name)
  }

  private func write(_ bytes: [UInt8], to name: String) throws(CheckpointError) {
    let file = try lifting(try staging.create(name))
    try lifting(try file.write(bytes.span))
    try advance(bytes.count)
    try finish(file, name)
  }

  private func finish(_ file: OutputFile, _ name: String) throws(CheckpointError) {
    try lifting(try file.finish())
    files.append(.init(name: name, bytes: file.length))
  }

  private func advance(_ count: Int) throws(CheckpointError) {
    note(count)
    try checkStop()
  }

  private func note(_ count: Int) {
    done += count
    observer.progress(done, total)
  }

  private func checkStop() throws(CheckpointError) {
    if observer.shouldStop() { throw interruption }
  }

  private var interruption: CheckpointError {
    CheckpointError(.interrupted, "interrupted, nothing was written", in: conversion.output)
  }

  // MARK: - After writing

  /// Opens what was written as any reader would and compares sizes and headers with the plan.
  private func checkWritten() throws(CheckpointError) {
    let written = try CheckpointDirectory(path: staging.path, acceptingIncomplete: true)
    for (planned, opened) in zip(plan.shards, written.shards) {
      guard planned.name == opened.name, planned.header == opened.file.header,
        planned.bytesOut == opened.file.file.size
      else {
        throw CheckpointError(
          .verification, "what was written to \(quoted(planned.name)) is not what was planned",
          in: conversion.output)
      }
    }
    guard written.pruned == conversion.configuration else {
      throw CheckpointError(
        .verification, "the written config.json does not read back as planned",
        in: conversion.output)
    }
  }
}

/// Bytes on their way from many small places to one write.
private struct GatherBuffer {
  private var bytes: [UInt8]
  private(set) var count = 0

  init(capacity: Int) { bytes = [UInt8](repeating: 0, count: capacity) }

  var free: Int { bytes.count - count }

  /// Reads `range`, for which there is room.
  mutating func append(_ range: Range<Int>, of file: PositionalFile) throws(FileError) {
    let place = count..<count + range.count
    var failure: FileError?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(FileError) {
        try unsafe file.read(
          at: range.lowerBound, into: UnsafeMutableRawBufferPointer(rebasing: buffer[place]))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    count = place.upperBound
  }

  /// Appends up to `wanted` zeros and returns how many fitted.
  mutating func appendZeros(_ wanted: Int) -> Int {
    let place = count..<count + min(wanted, free)
    for index in place { bytes[index] = 0 }
    count = place.upperBound
    return place.count
  }

  mutating func flush(to file: OutputFile) throws(FileError) {
    try file.write(bytes.span.extracting(0..<count))
    count = 0
  }
}
