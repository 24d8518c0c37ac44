import ArgumentParser
import ByteIO
import LeanKDecoder
import LeanKMask
import LeanKReport

/// `leank bench`
struct BenchCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure decode attention for a mask: pruned against dense, on this machine.",
    discussion: """
      One token attends to a full K/V cache, through every layer of the mask's geometry, with the \
      mask and without, by the same kernel; keys and values come from memory, not from the \
      processor's caches. Rates are set against what memory delivers to a plain stream of reads. \
      Times are of the attention kernel alone, not of a whole model.

      EXAMPLE
        leank bench --mask mask.leank --context 8192 32768
      """)

  @Option(help: "The mask: a .leank file, or anything that import reads.")
  var mask: String

  @OptionGroup var instanceOptions: InstanceOptions

  @Option(parsing: .upToNextOption, help: "Tokens in the cache, one or several numbers.")
  var context: [Int] = [8192, 32768]

  @Option(help: "Query heads of every layer (default: those the mask records, else 4 a KV head).")
  var queryHeads: Int?

  @Option(help: "Element type of the cache.")
  var cache: ElementType = .f32

  @Option(help: "Number of threads (default: one a processor).")
  var threads: Int?

  @Flag(help: "Print the outcome as JSON.")
  var json = false

  func validate() throws {
    guard !context.isEmpty, context.allSatisfy({ $0 >= 1 }) else {
      throw ValidationError("--context is a number of tokens, at least 1")
    }
    guard (1...4096).contains(queryHeads ?? 1) else {
      throw ValidationError("--query-heads is a number from 1 to 4096")
    }
    guard (1...1024).contains(threads ?? 1) else {
      throw ValidationError("--threads is a number from 1 to 1024")
    }
  }

  func run(on console: Console) throws -> CInt {
    let input = try MaskInput.read(mask, instance: instanceOptions.chosen)
    input.notes.forEach { console.warn($0) }
    // layers without a K cache of heads have no attention to measure
    let channelMask = try ChannelMask(
      layers: input.document.mask.layers.filter(\.geometry.hasCache))
    var options = BenchmarkOptions(
      queryHeads: queryHeads, element: cache,
      window: input.document.deployment?.window ?? .standard,
      threads: threads ?? Machine.processors)
    try check(channelMask, options)
    #if DEBUG
      console.warn("this is a debug build: its times say nothing")
      options.repetitions = 1
      options.evictionBytes = 1 << 20
    #endif
    let benchmark = AttentionBenchmark(mask: channelMask, options: options)
    var bandwidth = 0.0
    var results: [BenchmarkResult] = []
    for tokens in context {
      let measurement = benchmark.measure(context: tokens) { layers in
        guard console.isInteractive, !json else { return }
        let layer = "layer \(layers) of \(channelMask.layers.count)"
        console.note("\r\(Formatting.count(tokens)) tokens, \(layer)\u{1B}[K", terminator: "")
      }
      bandwidth = max(bandwidth, measurement.memoryBandwidth)
      results += measurement.results
    }
    if console.isInteractive, !json { console.note("\r\u{1B}[K", terminator: "") }
    if json {
      try console.print(json: BenchReport(bandwidth: bandwidth, results: results))
    } else {
      let text = BenchText(
        mask: channelMask, options: options, bandwidth: bandwidth, results: results)
      try console.print(text.lines.joined(separator: "\n"))
    }
    return LeankExit.success
  }

  /// Refuses what the mask's geometry or this machine's memory does not allow.
  private func check(_ mask: ChannelMask, _ options: BenchmarkOptions) throws {
    if let queryHeads {
      for (index, layer) in mask.layers.enumerated() {
        let kvHeads = layer.geometry.kvHeads
        guard queryHeads >= kvHeads, queryHeads.isMultiple(of: kvHeads) else {
          throw UsageError(
            "--query-heads \(queryHeads): layer \(index) has \(kvHeads) KV heads, "
              + "give a multiple of them")
        }
      }
    }
    for tokens in context {
      let memory = AttentionBenchmark.memory(mask: mask, options: options, context: tokens)
      guard let memory, memory <= Machine.memory / 4 * 3 else {
        throw CommandError(
          .limitExceeded,
          "--context \(tokens): one layer dense and pruned takes "
            + (memory.map(Formatting.bytes) ?? "more than 2^63 bytes")
            + " of memory, this machine has \(Formatting.bytes(Machine.memory)); "
            + "give fewer tokens or --cache bf16")
      }
    }
  }
}
