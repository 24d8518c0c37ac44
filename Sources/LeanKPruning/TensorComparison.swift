import ByteIO
import LeanKCheckpoint
import LeanKModel
import TensorFiles

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Compares tensors byte by byte and says which head and row differs.
struct TensorComparison {
  private let model: ModelGeometry
  private var dense = [UInt8](repeating: 0, count: Self.chunk)
  private var pruned = [UInt8](repeating: 0, count: Self.chunk)
  /// Bytes compared so far.
  private(set) var bytes = 0

  /// Two of these stay in a core's cache, so that comparing costs little beside reading.
  private static let chunk = 256 << 10

  init(model: ModelGeometry) { self.model = model }

  /// Failures of all tensors of `pruned`, which has to hold those of `plan` and no others, and of the
  /// metadata of its files. Calls `progress` as the comparison of one tensor does.
  mutating func compare(
    _ plan: PruningPlan, of dense: CheckpointDirectory, with pruned: CheckpointDirectory,
    progress: (Int) throws(PruningError) -> Void
  ) throws(PruningError) -> [StructureProof.Failure] {
    var failures: [StructureProof.Failure] = []
    var planned: Set<UTF8Name> = []
    for (shard, source) in zip(plan.shards, dense.shards) {
      for tensor in shard.tensors {
        let name = tensor.source.name
        planned.insert(UTF8Name(name))
        guard let found = pruned.tensor(name) else {
          failures.append(.init(place: name, detail: "missing"))
          continue
        }
        guard found.info.scalar == tensor.source.scalar, found.info.shape == tensor.shape else {
          failures.append(
            .init(
              place: name,
              detail: "expected \(tensor.source.scalar.rawValue) \(tensor.shape), found "
                + "\(found.info.scalar.rawValue) \(found.info.shape)"))
          continue
        }
        failures += try compare(tensor, of: source.file, with: found, progress: progress)
      }
    }
    for shard in pruned.shards {
      for tensor in shard.file.header.tensors where !planned.contains(UTF8Name(tensor.name)) {
        failures.append(.init(place: tensor.name, detail: "not in the dense checkpoint"))
      }
      guard let own = plan.shards.first(where: { UTF8Name($0.name) == UTF8Name(shard.name) }) else {
        failures.append(.init(place: shard.name, detail: "not in the dense checkpoint"))
        continue
      }
      failures += Self.compare(own.header.metadata, with: shard.file.header.metadata, in: own.name)
    }
    return failures
  }

  /// Failures of one file's `__metadata__`.
  private static func compare(
    _ expected: [UTF8Name: String], with found: [UTF8Name: String], in file: String
  ) -> [StructureProof.Failure] {
    Set(expected.keys).union(found.keys).sorted().compactMap { key in
      let (wanted, own) = (expected[key].map { UTF8Name($0) }, found[key].map { UTF8Name($0) })
      guard wanted != own else { return nil }
      func shown(_ value: UTF8Name?) -> String { value.map { quoted($0.text) } ?? "nothing" }
      return StructureProof.Failure(
        place: file,
        detail: "__metadata__ \(quoted(key.text)): expected \(shown(wanted)), found \(shown(own))")
    }
  }

  /// Failures of one tensor, whose type and shape are as planned. Calls `progress` with the bytes
  /// compared so far, of all tensors; what it throws ends the comparison.
  mutating func compare(
    _ tensor: PruningPlan.Tensor, of source: SafetensorsFile,
    with found: (file: SafetensorsFile, info: TensorInfo),
    progress: (Int) throws(PruningError) -> Void
  ) throws(PruningError) -> [StructureProof.Failure] {
    var pieces: [Piece] = []
    let width = tensor.source.rowBytes
    func row(_ rows: Range<Int>, isZero: Bool = false) -> Range<Int>? {
      isZero ? nil : rows.lowerBound * width..<rows.upperBound * width
    }
    switch tensor.action {
    case .copy: pieces = [Piece(dense: 0..<tensor.bytesIn, count: tensor.bytesIn)]
    case .keep(let rows):
      pieces = rows.ranges.map { Piece(dense: row($0), count: $0.count * width) }
    case .zero(let rows):
      var next = 0
      for run in rows.ranges {
        let before = next..<run.lowerBound
        pieces.append(Piece(dense: row(before), count: before.count * width))
        pieces.append(Piece(dense: nil, count: run.count * width))
        next = run.upperBound
      }
      let rest = next..<tensor.source.rows
      pieces.append(Piece(dense: row(rest), count: rest.count * width))
    }
    var report = DifferingRows(tensor: tensor)
    var position = 0
    for piece in pieces {
      try compare(piece, at: position, tensor, source, found, &report, progress)
      position += piece.count
    }
    return report.failures(in: model)
  }

  /// A part of the written tensor: the same bytes of the source's tensor, or zeros.
  private struct Piece {
    var dense: Range<Int>?
    var count: Int
  }

  private mutating func compare(
    _ piece: Piece, at position: Int, _ tensor: PruningPlan.Tensor, _ source: SafetensorsFile,
    _ found: (file: SafetensorsFile, info: TensorInfo), _ report: inout DifferingRows,
    _ progress: (Int) throws(PruningError) -> Void
  ) throws(PruningError) {
    var done = 0
    while done < piece.count {
      let count = min(Self.chunk, piece.count - done)
      try Self.read(found.file, found.info, position + done, count, into: &pruned)
      if let range = piece.dense {
        try Self.read(source, tensor.source, range.lowerBound + done, count, into: &dense)
      } else {
        for index in 0..<count { dense[index] = 0 }
      }
      if !isEqual(count) {
        report.add(dense: dense, pruned: pruned, count: count, at: position + done)
      }
      done += count
      bytes += count
      try progress(bytes)
    }
  }

  private func isEqual(_ count: Int) -> Bool {
    unsafe dense.withUnsafeBytes { left in
      unsafe pruned.withUnsafeBytes { right in
        guard let first = left.baseAddress, let second = right.baseAddress else { return true }
        return unsafe memcmp(first, second, count) == 0
      }
    }
  }

  private static func read(
    _ file: SafetensorsFile, _ tensor: TensorInfo, _ offset: Int, _ count: Int,
    into bytes: inout [UInt8]
  ) throws(PruningError) {
    var failure: TensorFileError?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(TensorFileError) {
        try unsafe file.read(
          tensor, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
      } catch {
        failure = error
      }
    }
    if let failure { throw PruningError(failure) }
  }
}

/// Rows of one written tensor that are not as planned.
private struct DifferingRows {
  let tensor: PruningPlan.Tensor
  /// Ascending.
  private var rows: [Int] = []

  init(tensor: PruningPlan.Tensor) { self.tensor = tensor }

  /// Notes the rows of a chunk, which begins `position` bytes into the tensor, that differ.
  mutating func add(dense: [UInt8], pruned: [UInt8], count: Int, at position: Int) {
    let width = max(tensor.source.rowBytes, 1)
    for index in 0..<count where dense[index] != pruned[index] {
      let row = (position + index) / width
      if rows.last != row { rows.append(row) }
    }
  }

  func failures(in model: ModelGeometry) -> [StructureProof.Failure] {
    guard !rows.isEmpty else { return [] }
    let name = tensor.source.name
    var failures = rows.prefix(StructureProof.rowLimit).map { row in
      StructureProof.Failure(place: name, detail: place(of: row, in: model) + ": bytes differ")
    }
    if rows.count > failures.count {
      failures.append(
        StructureProof.Failure(
          place: name, detail: "\(rows.count - failures.count) more rows differ"))
    }
    return failures
  }

  /// `KV head 1, channel 17 (row 73)` in a projection, `row 73` elsewhere; the row counts in the
  /// written tensor.
  private func place(of row: Int, in model: ModelGeometry) -> String {
    let name = UTF8Name(tensor.source.name)
    let dense = denseRow(row)
    for attention in model.layers.compactMap(\.rows) {
      for (part, title) in [
        (attention.key, "KV head"), (attention.query, "query head"), (attention.value, "V head"),
      ] where UTF8Name(part.weight) == name || part.bias.map({ UTF8Name($0) }) == name {
        guard let head = part.heads.firstIndex(where: { $0.contains(dense) }) else { continue }
        return "\(title) \(head), channel \(dense - part.heads[head].lowerBound) (row \(row))"
      }
    }
    return tensor.shape.count > 1 ? "row \(row)" : "element \(row)"
  }

  /// The source's row that stands at `row` of what is written.
  private func denseRow(_ row: Int) -> Int {
    guard case .keep(let kept) = tensor.action else { return row }
    var rest = row
    for run in kept.ranges {
      if rest < run.count { return run.lowerBound + rest }
      rest -= run.count
    }
    return row
  }
}
