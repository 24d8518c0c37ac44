import TensorFiles

/// A piece of an output file's data.
enum DataSegment: Hashable {
  /// Bytes of the source file, counted from its beginning.
  case source(Range<Int>)
  /// This many zeros.
  case zeros(Int)

  var count: Int {
    switch self {
    case .source(let range): range.count
    case .zeros(let count): count
    }
  }
}

extension PruningPlan.Shard {
  /// What to write behind the header, in order; neighbours in the source are one piece.
  var segments: [DataSegment] {
    var segments: [DataSegment] = []
    func append(_ segment: DataSegment) {
      switch (segments.last, segment) {
      case (_, let next) where next.count == 0: break
      case (.source(let last)?, .source(let next)) where last.upperBound == next.lowerBound:
        segments[segments.count - 1] = .source(last.lowerBound..<next.upperBound)
      case (.zeros(let last)?, .zeros(let next)): segments[segments.count - 1] = .zeros(last + next)
      default: segments.append(segment)
      }
    }
    for tensor in tensors {
      let start = sourceDataStart + tensor.source.range.lowerBound
      let width = tensor.source.rowBytes
      func bytes(of rows: Range<Int>) -> Range<Int> {
        start + rows.lowerBound * width..<start + rows.upperBound * width
      }
      switch tensor.action {
      case .copy: append(.source(start..<start + tensor.bytesIn))
      case .keep(let rows):
        for run in rows.ranges { append(.source(bytes(of: run))) }
      case .zero(let rows):
        var next = 0
        for run in rows.ranges {
          append(.source(bytes(of: next..<run.lowerBound)))
          append(.zeros(run.count * width))
          next = run.upperBound
        }
        append(.source(bytes(of: next..<tensor.source.rows)))
      }
    }
    return segments
  }
}
