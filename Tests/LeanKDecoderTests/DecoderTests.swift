import ByteIO
import LeanKMask
import LeanKModel
import TensorFiles
import TestSupport
import Testing

@testable import LeanKDecoder

/// What a run must notice, count and refuse.
@Suite struct DecoderTests {
  /// Pairs rotated with the frequency of their place among the rows that are left, instead of their
  /// own: what a pruned checkpoint gives in a runtime that does not know its mask.
  @Test func wrongFrequenciesAfterSlicingAreNoticed() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    let sliced = SlicedWeights.slice(fixture.model, by: fixture.mask)
    let closed = try fixture.mask.closed
    let moved = try Self.movedToLowestPairs(fixture.mask, closed)
    let movedRows = try Self.movedToLowestPairs(closed, closed)
    #expect(movedRows.layers.map(\.keptCount) == closed.layers.map(\.keptCount))
    let run = try TestRun(
      [
        .masked(fixture.model, fixture.mask), .pruned(sliced, fixture.mask, rows: closed),
        .pruned(sliced, moved, rows: movedRows),
      ], prompt: 24, tokens: tokens)
    #expect(run.logits[0].largestDifference(from: run.logits[1]) <= 3e-5)
    #expect(run.logits[0].largestDifference(from: run.logits[2]) > 0.05)
  }

  /// The channels of `mask`, each renamed to its place when the pairs of `closure` move together.
  private static func movedToLowestPairs(
    _ mask: ChannelMask, _ closure: ChannelMask
  ) throws -> ChannelMask {
    try ChannelMask(
      layers: zip(mask.layers, closure.layers).map { layer, closed in
        let width = layer.geometry.headDim
        let heads = zip(layer.heads, closed.heads).map { head, closed in
          let pairs = closed.channels.filter { $0 < width / 2 }
          var moved = ChannelSet(width: width)
          for (place, first) in pairs.enumerated() {
            moved[place] = head[first]
            moved[place + width / 2] = head[first + width / 2]
          }
          return moved
        }
        return try LayerMask(geometry: layer.geometry, heads: heads)
      })
  }

  /// With not-a-number in every row that slicing removes, the dense side under the mask is unmoved.
  @Test(arguments: ReferenceModel.names) func droppedRowsAreNeverUsed(name: String) throws {
    let fixture = try ReferenceModel(name)
    guard !fixture.hasQueryKeyNorm else { return }
    let tokens = try fixture.tokens("input_ids")
    let poisoned = PoisonedWeights.poison(fixture.model, outside: fixture.mask)
    func run(_ model: DecoderModel) throws -> Matrix {
      try TestRun([.masked(model, fixture.mask)], prompt: 24, tokens: tokens).logits[0]
    }
    let clean = try run(fixture.model)
    #expect(clean.values.allSatisfy { $0.isFinite })
    #expect(try run(poisoned) == clean)
  }

  @Test func threadsDoNotChangeTheResult() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    func run(_ threads: Int) throws -> [Matrix] {
      try TestRun(
        [.masked(fixture.model, fixture.mask), .pruned(fixture.model, fixture.mask)], prompt: 24,
        tokens: tokens, policy: AttentionPolicy(mode: .windowed(window)), threads: threads
      ).logits
    }
    #expect(try run(1) == run(3))
  }

  /// Given tokens and chosen ones go through the same cache: continuing greedily equals being given
  /// the continuation.
  @Test func greedyTokensContinueTheCache() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    let window = try AttentionWindow(sink: 2, recent: 6, accumulate: 5)
    let policy = AttentionPolicy(mode: .windowed(window))
    let sides: [Side] = [
      .masked(fixture.model, fixture.mask), .pruned(fixture.model, fixture.mask),
    ]
    var run = try TestRun(
      sides, prompt: 20, tokens: tokens, policy: policy, residentWeights: 1 << 30)
    let chosen = try run.greedy(12)
    #expect(chosen[0] == chosen[1])
    let given = try TestRun(
      [sides[1]], prompt: 20, tokens: tokens + chosen[1], policy: policy
    ).logits[0]
    for (index, token) in chosen[1].enumerated() {
      #expect(given.argmax(row: tokens.count - 1 + index) == Int(token))
    }
  }

  @Test func layersAreSeenInOrder() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = Array(try fixture.tokens("input_ids").prefix(30))
    var seen: [Int] = []
    var largest: Float = 0
    _ = try TestRun(
      [.masked(fixture.model, fixture.mask), .pruned(fixture.model, fixture.mask)], prompt: 24,
      tokens: tokens
    ) { state in
      seen.append(state.layer)
      #expect(state.hidden[0].rows == 30 && state.attention[0].rows == 30)
      largest = max(largest, state.hidden[0].largestDifference(from: state.hidden[1]))
      largest = max(largest, state.attention[0].largestDifference(from: state.attention[1]))
    }
    #expect(seen == Array(0..<fixture.model.description.layers.count))
    #expect(largest <= 1e-5)
  }

  @Test func cacheHoldsWhatTheMaskKeeps() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let tokens = try fixture.tokens("input_ids")
    let description = fixture.model.description
    let dense = description.layers.reduce(0) {
      $0 + $1.attention.kvHeads * $1.attention.headDim * tokens.count
    }
    func cache(_ side: Side, _ policy: AttentionPolicy) throws -> CacheSize {
      try TestRun([side], prompt: 24, tokens: tokens, policy: policy).cached[0]
    }
    let pruned = Side.pruned(fixture.model, fixture.mask)
    #expect(
      try cache(.dense(fixture.model), AttentionPolicy()) == CacheSize(keys: dense, values: dense))
    #expect(
      try cache(.pruned(fixture.model, fixture.mask, order: .ascending), AttentionPolicy())
        == CacheSize(keys: fixture.mask.keptCount * tokens.count, values: dense))
    // The last of 24 decoded tokens flushes: near are 4 sink keys and 8 recent ones.
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    let middle = tokens.count - 12
    let heads = fixture.mask.layers.flatMap(\.heads)
    let keys = heads.reduce(0) { $0 + 12 * $1.width + middle * $1.count }
    let values = heads.reduce(0) { $0 + (12 + ($1.isEmpty ? 0 : middle)) * $1.width }
    #expect(
      try cache(pruned, AttentionPolicy(mode: .windowed(window)))
        == CacheSize(keys: keys, values: values))
  }

  // MARK: - Refusals

  private func expect(
    _ code: DecoderCode, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
  ) {
    do {
      try body()
      Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as DecoderError {
      #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    } catch {
      Issue.record(error, sourceLocation: sourceLocation)
    }
  }

  private func decode(
    _ sides: [Side], prompt: Int = 4, tokens: [Int32] = [3, 4, 5, 6, 7],
    policy: AttentionPolicy = AttentionPolicy()
  ) throws {
    _ = try TestRun(sides, prompt: prompt, tokens: tokens, policy: policy)
  }

  @Test func refusals() throws {
    let fixture = try ReferenceModel("llama_gqa")
    let other = try ReferenceModel("llama_bias_sharded")
    let (model, mask) = (fixture.model, fixture.mask)
    let dense = Side.dense(model)
    let sliced = SlicedWeights.slice(model, by: mask)
    let closed = try mask.closed
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)

    expect(.promptLength) { try decode([dense], prompt: 6) }
    expect(.promptLength) { try decode([dense], prompt: 0) }
    expect(.token) { try decode([dense], tokens: [3, 256, 3, 3]) }
    expect(.token) { try decode([dense], tokens: [3, -1, 3, 3]) }
    expect(.geometry) { try decode([.masked(model, other.mask)]) }
    expect(.geometry) { try decode([.pruned(model, other.mask)]) }
    expect(.geometry) { try decode([.pruned(model, mask, rows: closed)]) }
    expect(.geometry) { try decode([.pruned(sliced, mask)]) }
    expect(.geometry) { try decode([.dense(sliced)]) }
    expect(.prunedRows) {
      try decode(
        [.pruned(sliced, mask, rows: closed)], policy: AttentionPolicy(mode: .windowed(window)))
    }

    let norm = NormDescription(.rootMeanSquare, weight: "model.norm.weight", epsilon: 1e-6)
    var normed = sliced.description
    for index in normed.layers.indices {
      normed.layers[index].attention.queryKeyNorm = .sharedPerHead(query: norm, key: norm)
    }
    expect(.prunedRows) {
      try decode([.pruned(DecoderModel(normed, weights: sliced.weights), mask, rows: closed)])
    }

    var missing = model.description
    missing.finalNorm.weight = "nowhere"
    expect(.missingTensor) { try decode([.dense(DecoderModel(missing, weights: model.weights))]) }
    var misshapen = model.description
    misshapen.finalNorm.weight = model.description.embedding
    expect(.tensorShape) { try decode([.dense(DecoderModel(misshapen, weights: model.weights))]) }
    var integers = model.description
    integers.finalNorm.weight = "codes"
    let codes = MemoryWeights(
      tensors: [
        "codes": TensorArray(scalar: .i32, shape: [64], bytes: [UInt8](repeating: 0, count: 256))
      ], others: model.weights)
    expect(.scalarType) { try decode([.dense(DecoderModel(integers, weights: codes))]) }
  }

  @Test func aFileThatEndsEarlyIsNamed() throws {
    let directory = try TemporaryDirectory()
    for file in ["config.json", "model.safetensors"] {
      try directory.write(try Fixtures.bytes("Reference/llama_gqa/\(file)"), to: file)
    }
    let model = try ReferenceModel.open(directory.path)
    let whole = try Fixtures.bytes("Reference/llama_gqa/model.safetensors")
    try directory.truncate("model.safetensors", to: whole.count / 2)
    do {
      try decode([.dense(model)])
      Issue.record("nothing was thrown")
    } catch let error as DecoderError {
      #expect(error.failureClass == .inputChanged)
      #expect(error.path?.hasSuffix("model.safetensors") == true)
    }
  }
}
