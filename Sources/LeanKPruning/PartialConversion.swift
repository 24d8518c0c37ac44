public import ByteIO
import Crypto
import LeanKCheckpoint
import LeanKModel
import StrictJSON
import TensorFiles

extension Conversion {
  /// What one task did.
  public struct PartResult: Sendable, Hashable {
    /// Files that the task wrote, in byte order of names.
    public let written: [Result.File]
    /// Files of the part that were there already, complete and made from the same inputs.
    public let reused: [Result.File]
  }

  /// Converts the files of one part into `.NAME.leank-parts/` beside the output, for `commit` to
  /// finish once all parts are there.
  ///
  /// What an earlier task of the same plan finished is kept; a directory that belongs to another
  /// plan (mask, layout, mode, source or version) is refused with `.otherPlan`. Two tasks with one
  /// part write the same bytes, and the later one's take the names.
  public func run(
    part: ShardPart, observer: Observer = Observer()
  ) throws(PruningError) -> PartResult {
    try checkMode()
    try checkLoader()
    let chosen = plan.shards(of: part)
    let parts = try lifting(
      try PartsDirectory(
        for: output, replacing: replacement, inputs: [source.directory], forCommit: false))
    let binding = PartBinding(self)
    let found = try lifting(try parts.writeOnce(binding.bytes, to: PartBinding.fileName))
    try binding.check(found, in: parts)

    var missing: [Int] = []
    var reused: [Result.File] = []
    for shard in chosen {
      if try binding.isComplete(shard, in: parts) {
        reused.append(.init(name: plan.shards[shard].name, bytes: plan.shards[shard].bytesOut))
      } else {
        missing.append(shard)
      }
    }
    let meter = WorkMeter(
      total: missing.reduce(0) { $0 + plan.shards[$1].bytesOut }, of: self, observer: observer)
    let free = try lifting(try parts.freeSpace())
    guard meter.total <= free else {
      throw PruningError(
        .noSpace, "part \(part.number) takes \(meter.total) bytes, \(free) are free", in: parts.path
      )
    }
    let writer = ShardWriter(meter: meter)
    try meter.concurrently(missing.count, threads: threads) { (index) throws(PruningError) in
      let shard = missing[index]
      let planned = plan.shards[shard]
      try parts.write(planned.name, lifting: { PruningError($0) }) {
        (file: OutputFile) throws(PruningError) in
        try writer.write(planned, from: source.shards[shard].file.file, to: file)
      }
      try liftingCheckpoint(try source.checkUnchanged())
      let receipt = binding.receipt(for: shard)
      try parts.write(PartBinding.receiptName(planned.name), lifting: { PruningError($0) }) {
        (file: OutputFile) throws(PruningError) in try lifting(try file.write(receipt.span))
      }
    }
    let written = missing.map {
      Result.File(name: plan.shards[$0].name, bytes: plan.shards[$0].bytesOut)
    }
    return PartResult(written: written, reused: reused)
  }

  /// Makes the output of the parts that tasks wrote, the same bytes as `run` makes, and removes the
  /// parts. Fails with `.partMissing`, naming a file, unless all are complete and made from this
  /// plan and these inputs, and with `.partChanged` where one does not hold what the source gives.
  public func commit(observer: Observer = Observer()) throws(PruningError) -> Result {
    try checkMode()
    try checkLoader()
    let parts: PartsDirectory
    do throws(FileError) {
      parts = try PartsDirectory(
        for: output, replacing: replacement, inputs: [source.directory], forCommit: true)
    } catch {
      guard error.code == .missing else { throw PruningError(error) }
      throw PruningError(
        .partMissing, "no part is there yet, make them with convert --shard K/N", in: output)
    }
    let binding = PartBinding(self)
    guard
      let found = try lifting(
        try parts.contents(of: PartBinding.fileName, limit: PartBinding.byteLimit))
    else {
      throw PruningError(
        .partMissing, "no part is there yet, make them with convert --shard K/N", in: parts.path)
    }
    try binding.check(found, in: parts)
    var missing: [String] = []
    for shard in plan.shards.indices where try !binding.isComplete(shard, in: parts) {
      missing.append(plan.shards[shard].name)
    }
    if let first = missing.first {
      throw PruningError(
        .partMissing,
        "\(missing.count) of \(plan.shards.count) files are missing, incomplete or made from other "
          + "inputs, the first is \(quoted(first)): run its convert --shard K/N again",
        in: parts.path)
    }
    try compare(parts, observer: observer)
    let result = try write(observer: observer, parts: parts)
    parts.discard()
    return result
  }
}

extension Conversion {
  /// Reads the files in `parts` and what the source has for them. A receipt tells only that a file was
  /// written and how old its source was; the receipt of one that differs is removed, so that its task
  /// writes it again.
  private func compare(
    _ parts: PartsDirectory, observer: Observer
  ) throws(PruningError) {
    let meter = WorkMeter(total: plan.bytesOut, of: self, observer: observer)
    try meter.concurrently(plan.shards.count, threads: threads) { (index) throws(PruningError) in
      let planned = plan.shards[index]
      guard let problem = try problem(of: index, in: parts, meter) else { return }
      parts.remove(PartBinding.receiptName(planned.name))
      throw PruningError(
        .partChanged,
        "\(quoted(planned.name)) does not hold what the source gives (\(problem)): run its convert "
          + "--shard K/N again", in: parts.path)
    }
  }

  /// What is wrong with a file in `parts`, nil where nothing is.
  private func problem(
    of index: Int, in parts: PartsDirectory, _ meter: WorkMeter
  ) throws(PruningError) -> String? {
    let planned = plan.shards[index]
    let header = planned.header.encoded
    let file = try lifting(try parts.file(planned.name))
    guard file.size == planned.bytesOut,
      try lifting(try file.bytes(at: 0, count: header.count)) == header
    else { return "its header differs" }
    try meter.advance(header.count)
    let written = try liftingTensors(try SafetensorsFile(file))
    var comparison = TensorComparison(model: plan.model)
    for tensor in planned.tensors {
      guard let info = written[tensor.source.name] else { return "its header differs" }
      var done = comparison.bytes
      let failures = try comparison.compare(
        tensor, of: source.shards[index].file, with: (written, info)
      ) { (bytes) throws(PruningError) in
        try meter.advance(bytes - done)
        done = bytes
      }
      if let first = failures.first { return first.description }
    }
    return nil
  }
}

/// What ties the files of a parts directory to one plan and its inputs.
private struct PartBinding {
  static let fileName = "leank-plan.json"
  static let byteLimit = 1 << 20

  let bytes: [UInt8]
  private let digest: String
  private let conversion: Conversion

  init(_ conversion: Conversion) {
    var hash = SHA256()
    func update(_ bytes: some Collection<UInt8>) {
      // The length first, so that no two lists of pieces run together.
      hash.update(data: Array("\(bytes.count):".utf8))
      hash.update(data: Array(bytes))
    }
    update(conversion.configuration.json.utf8)
    update(conversion.mask)
    update(conversion.card ?? [])
    for shard in conversion.plan.shards {
      update(shard.name.utf8)
      update(shard.header.encoded)
    }
    digest = hexadecimal(hash.finalize())
    bytes = Array(
      """
      {
        "plan_digest": \(JSONText.quoted(digest)),
        "leank": \(conversion.configuration.json)
      }

      """.utf8)
    self.conversion = conversion
  }

  /// Fails unless `found` is the binding of the same plan.
  func check(_ found: [UInt8], in parts: PartsDirectory) throws(PruningError) {
    guard found != bytes else { return }
    throw PruningError(
      .otherPlan,
      "the parts here belong to a conversion with another mask, layout, mode, source or version "
        + "(\(Self.fileName) tells); finish that one, or remove them with leank clean --parts",
      in: parts.path)
  }

  static func receiptName(_ shard: String) -> String { shard + ".json" }

  /// What is written when a file is complete. The time tells a source whose header stayed the same.
  func receipt(for shard: Int) -> [UInt8] {
    let planned = conversion.plan.shards[shard]
    let source = conversion.source.shards[shard].file.file.identity
    let modified = source.modified.map(String.init).joined(separator: ", ")
    return Array(
      """
      {
        "plan_digest": \(JSONText.quoted(digest)),
        "bytes": \(planned.bytesOut),
        "source_bytes": \(source.size),
        "source_modified": [\(modified)]
      }

      """.utf8)
  }

  /// Whether a file is there in full and was made from the source's file as it is now.
  func isComplete(_ shard: Int, in parts: PartsDirectory) throws(PruningError) -> Bool {
    let planned = conversion.plan.shards[shard]
    let receipt = try lifting(
      try parts.contents(of: Self.receiptName(planned.name), limit: Self.byteLimit))
    guard receipt == self.receipt(for: shard) else { return false }
    return try lifting(try parts.size(of: planned.name)) == planned.bytesOut
  }
}
