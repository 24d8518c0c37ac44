public import LeanKMask

/// Measures decode attention for the geometry of a mask, pruned beside dense, layer by layer.
///
/// Before each measurement another buffer is read, so that nothing of keys and values is found in the
/// processor's caches, as in a decoder, where the weights pass in between.
public struct AttentionBenchmark: Sendable {
  private let mask: ChannelMask
  private let options: BenchmarkOptions
  private let compute: ComputeContext
  private let buffer: AlignedBytes
  private let clock = ContinuousClock()

  public init(mask: ChannelMask, options: BenchmarkOptions) {
    self.mask = mask
    self.options = options
    compute = ComputeContext(threads: options.threads)
    buffer = unsafe AlignedBytes(count: options.evictionBytes / 4 * 4) { bytes in
      unsafe bytes.initializeMemory(as: Float.self, repeating: 1)
    }
  }

  /// Bytes of memory that a benchmark takes, nil past Int's range: the buffer, and a layer dense,
  /// windowed and static.
  public static func memory(
    mask: ChannelMask, options: BenchmarkOptions, context: Int
  ) -> Int? {
    let channels = mask.layers.map { $0.geometry.channels }.max() ?? 0
    let (row, rowOverflow) = (3 * 2 * options.element.byteWidth).multipliedReportingOverflow(
      by: channels)
    let (caches, overflow) = context.multipliedReportingOverflow(by: row)
    let (total, totalOverflow) = caches.addingReportingOverflow(options.evictionBytes)
    return rowOverflow || overflow || totalOverflow ? nil : total
  }

  /// What was measured at one number of tokens.
  public struct Measurement: Sendable {
    /// Windowed and static.
    public let results: [BenchmarkResult]
    /// What memory delivered to a stream of reads by as many threads, in 10^9 bytes a second. The
    /// reads take turns with attention and are timed in the same way, since memory that is shared
    /// with other machines may be twice as fast a second later.
    public let memoryBandwidth: Double
  }

  /// Attention at `context` tokens, at least 1. `progress` is told layers done.
  public func measure(
    context: Int, progress: (Int) -> Void = { _ in }
  ) -> Measurement {
    var windowed = BenchmarkResult(context: context, mode: .windowed)
    var unwindowed = BenchmarkResult(context: context, mode: .static)
    var readSeconds = 0.0
    var readBytes = 0
    var dense: (geometry: LayerGeometry, layer: BenchmarkLayer)?
    for (index, layer) in mask.layers.enumerated() {
      let geometry = layer.geometry
      func make(_ kept: [ChannelSet], _ mode: DeploymentHints) -> BenchmarkLayer {
        BenchmarkLayer(
          kept: kept, context: context, mode: mode, queryHeads: options.queryHeads(of: geometry),
          codec: CacheCodec(options.element))
      }
      let whole: BenchmarkLayer
      if let dense, dense.geometry == geometry {
        whole = dense.layer
      } else {
        dense = nil  // gives its memory back first
        whole = make(layer.heads.map { .full(width: $0.width) }, .static)
        dense = (geometry, whole)
      }
      let layers = [
        whole, make(layer.heads, .windowed(options.window)), make(layer.heads, .static),
      ]
      let (seconds, reads) = fastest(layers)
      readSeconds += reads.reduce(0, +)
      readBytes += reads.count * buffer.count
      windowed.add(dense: layers[0], seconds[0], pruned: layers[1], seconds[1])
      unwindowed.add(dense: layers[0], seconds[0], pruned: layers[2], seconds[2])
      progress(index + 1)
    }
    return Measurement(
      results: [windowed, unwindowed], memoryBandwidth: Double(readBytes) / readSeconds / 1e9)
  }

  /// Each one's fastest run, and that of the reads before it; they take turns, so that a disturbance
  /// meets all of them.
  private func fastest(_ layers: [BenchmarkLayer]) -> (layers: [Double], reads: [Double]) {
    var fastest = [Double](repeating: .infinity, count: layers.count)
    var reads = fastest
    for _ in 0..<options.repetitions {
      for index in layers.indices {
        let start = clock.now
        readBuffer()
        reads[index] = min(reads[index], start.duration(to: clock.now) / .seconds(1))
        fastest[index] = min(fastest[index], layers[index].time(compute, clock))
      }
    }
    return (fastest, reads)
  }

  private func readBuffer() {
    let parts = options.threads * 8
    let count = buffer.count / 4
    let size = count / parts
    let (buffer, kernels) = (buffer, compute.kernels)
    let sums = compute.concurrentMap(parts) { part in
      let end = part == parts - 1 ? count : (part + 1) * size
      return kernels.readStream(buffer, part * size..<end)
    }
    precondition(sums.allSatisfy { $0 > 0 }, "the buffer holds ones")
  }
}

extension BenchmarkResult {
  fileprivate mutating func add(
    dense: BenchmarkLayer, _ denseTime: Double, pruned: BenchmarkLayer, _ prunedTime: Double
  ) {
    denseSeconds += denseTime
    denseBytes += dense.bytes
    prunedSeconds += prunedTime
    prunedBytes += pruned.bytes
  }
}
