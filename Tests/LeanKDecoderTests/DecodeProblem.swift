import Foundation
import LeanKDecoder
import LeanKMask
import TestSupport

/// A geometry for decode attention, and what attention over it means.
struct DecodeProblem {
  var kept: [ChannelSet]
  var group: Int
  var valueWidth: Int
  var mode: DeploymentHints
  var emptyHeads: DecodeOptions.EmptyHeads
  var element: CacheElement
  /// Prompt length of each sequence.
  var prompts: [Int]
  var decoded: Int

  var headDim: Int { kept[0].width }
  var queryHeads: Int { kept.count * group }
  var scale: Float { 0.5 }

  static func random(_ generator: inout SeededGenerator) -> DecodeProblem {
    func pick(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    let headDim = [8, 24, 33, 64, 128].randomElement(using: &generator) ?? 8
    let kept = (0..<pick(1...4)).map { _ in
      switch pick(0...4) {
      case 0: ChannelSet(width: headDim)
      case 1: ChannelSet.full(width: headDim)
      default:
        ChannelSet(width: headDim, channels: (0..<headDim).filter { _ in pick(0...2) == 0 })
      }
    }
    let accumulate = pick(1...40)
    let window = try? AttentionWindow(
      sink: pick(0...70), recent: pick(1...70), accumulate: accumulate)
    return DecodeProblem(
      kept: kept, group: pick(1...9), valueWidth: pick(0...1) == 0 ? headDim : pick(1...80),
      mode: pick(0...3) == 0 ? .static : window.map { .windowed($0) } ?? .static,
      emptyHeads: pick(0...1) == 0 ? .absent : .zero,
      element: CacheElement.allCases.randomElement(using: &generator) ?? .f32,
      prompts: (0..<pick(1...3)).map { _ in pick(0...220) },
      decoded: pick(0...1) == 0 ? accumulate * pick(1...2) : pick(1...60))
  }

  /// Caches filled with random tokens, the tokens as the caches have them, and a query.
  struct Run {
    var caches: [DecodeAttentionCache] = []
    /// [sequence][token][KV heads * head_dim], and of the value width.
    var keys: [[[Float]]] = []
    var values: [[[Float]]] = []
    var query: [Float] = []
    let queryHeads: Int
    let scale: Float

    func attend(_ attention: DecodeAttention) -> [Float] {
      attention.attend(caches, query: query.span, queryHeads: queryHeads, scale: scale)
    }
  }

  func run(_ generator: inout SeededGenerator) -> Run {
    var run = Run(queryHeads: queryHeads, scale: scale)
    func row(_ count: Int) -> [Float] {
      (0..<count).map { _ in representable(Float.random(in: -1...1, using: &generator)) }
    }
    for prompt in prompts {
      let keys = (0..<prompt + decoded).map { _ in row(kept.count * headDim) }
      let values = (0..<prompt + decoded).map { _ in row(kept.count * valueWidth) }
      var cache = DecodeAttentionCache(
        kept: kept, valueWidth: valueWidth, mode: mode, emptyHeads: emptyHeads, element: element)
      // The prompt comes in two parts.
      for part in [0..<prompt / 3, prompt / 3..<prompt] {
        let flatKeys = Array(keys[part].joined())
        let flatValues = Array(values[part].joined())
        cache.appendPrompt(keys: flatKeys.span, values: flatValues.span)
      }
      for token in prompt..<prompt + decoded {
        let (key, value) = (keys[token], values[token])
        cache.append(key: key.span, value: value.span)
      }
      run.caches.append(cache)
      run.keys.append(keys)
      run.values.append(values)
    }
    run.query = (0..<prompts.count * queryHeads * headDim).map { _ in
      Float.random(in: -1...1, using: &generator)
    }
    return run
  }

  /// `x` with the 8 bits of mantissa that every element type has.
  private func representable(_ x: Float) -> Float { (x * 128).rounded() / 128 }

  /// Largest difference of `result` from the definition, computed in double precision.
  func largestError(of result: [Float], _ run: Run) -> Double {
    var largest = 0.0
    for sequence in prompts.indices {
      for head in 0..<queryHeads {
        let row = sequence * queryHeads + head
        let expected = attention(
          query: run.query[row * headDim..<(row + 1) * headDim].map { Double($0) },
          kvHead: head / group, promptLength: prompts[sequence], keys: run.keys[sequence],
          values: run.values[sequence])
        for (channel, value) in expected.enumerated() {
          let difference = abs(value - Double(result[row * valueWidth + channel]))
          guard difference <= largest else {
            largest = difference.isNaN ? .infinity : difference
            continue
          }
        }
      }
    }
    return largest
  }

  /// What the newest decoded token sees: every key with the channels that the mode leaves of it.
  private func attention(
    query: [Double], kvHead: Int, promptLength: Int, keys: [[Float]], values: [[Float]]
  ) -> [Double] {
    let position = keys.count - 1
    var sum = 0.0
    var result = [Double](repeating: 0, count: valueWidth)
    for token in keys.indices {
      var isNear = false
      if case .windowed(let window) = mode {
        let j = position - promptLength + 1
        isNear =
          token < window.sink || token > position - window.recent - j % window.accumulate
        if !isNear, kept[kvHead].isEmpty, emptyHeads == .absent { continue }
      }
      var score = 0.0
      for channel in 0..<headDim where isNear || kept[kvHead][channel] {
        score += query[channel] * Double(keys[token][kvHead * headDim + channel])
      }
      let weight = exp(score * Double(scale))
      sum += weight
      for channel in 0..<valueWidth {
        result[channel] += weight * Double(values[token][kvHead * valueWidth + channel])
      }
    }
    return sum == 0 ? result : result.map { $0 / sum }
  }
}
