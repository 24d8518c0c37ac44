import ByteIO
import TensorFiles

/// Writes files of a plan.
struct ShardWriter {
  let meter: WorkMeter

  /// Runs of rows up to this size are gathered in a buffer; longer ones are copied range by range.
  private static let gatherLimit = 128 << 10

  /// Writes one file of weights; it is not made durable yet.
  func write(
    _ shard: PruningPlan.Shard, from source: PositionalFile, to file: OutputFile
  ) throws(PruningError) {
    let header = shard.header.encoded
    try lifting(try file.write(header.span))
    try meter.advance(header.count)
    var buffer = GatherBuffer(capacity: 8 * OutputFile.pieceSize)
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
  }

  /// Appends bytes of `source` to `file`.
  func copy(
    _ range: Range<Int>, of source: PositionalFile, to file: OutputFile
  ) throws(PruningError) {
    var goesOn = true
    try lifting(
      try file.copy(range, of: source) { count in
        goesOn = meter.goesOn(after: count)
        return goesOn
      })
    if !goesOn { throw meter.interruption }
  }

  private func flush(_ buffer: inout GatherBuffer, to file: OutputFile) throws(PruningError) {
    let count = buffer.count
    try lifting(try buffer.flush(to: file))
    try meter.advance(count)
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
