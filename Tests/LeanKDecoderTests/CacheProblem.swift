import Foundation
import LeanKMask
import TestSupport

@testable import LeanKDecoder

/// A geometry for decode attention, and what attention over it means.
struct CacheProblem {
  var kept: [ChannelSet]
  var group: Int
  var valueWidth: Int
  var mode: DeploymentHints
  var emptyHeads: AttentionPolicy.EmptyHeads
  var element: ElementType
  /// Tokens before the decoded ones, and decoded ones.
  var prompt: Int
  var decoded: Int
  var order = SumOrder.fast
  var softcap: Float?
  var sinkLogits: [Float]?
  /// Keys that the newest token sees, itself included; nil = all.
  var slidingWindow: Int?

  var headDim: Int { kept[0].width }
  var queryHeads: Int { kept.count * group }
  var scale: Float { 0.5 }

  static func random(_ generator: inout SeededGenerator) -> CacheProblem {
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
    let group = pick(1...9)
    let queryHeads = kept.count * group
    return CacheProblem(
      kept: kept, group: group, valueWidth: pick(0...1) == 0 ? headDim : pick(1...80),
      mode: pick(0...3) == 0 ? .static : window.map { .windowed($0) } ?? .static,
      emptyHeads: pick(0...1) == 0 ? .absent : .zero,
      element: ElementType.allCases.randomElement(using: &generator) ?? .f32,
      prompt: pick(0...220), decoded: pick(0...1) == 0 ? accumulate * pick(1...2) : pick(1...60),
      order: pick(0...1) == 0 ? .fast : .ascending, softcap: pick(0...3) == 0 ? 2.5 : nil,
      sinkLogits: pick(0...3) == 0
        ? (0..<queryHeads).map { _ in Float.random(in: -2...4, using: &generator) } : nil,
      slidingWindow: pick(0...3) == 0 ? pick(1...200) : nil)
  }

  /// A cache filled with random tokens, the tokens as the cache has them, and a query.
  struct Run {
    var cache: KVCache
    /// [token][KV heads * head_dim], and of the value width.
    var keys: [[Float]] = []
    var values: [[Float]] = []
    var query: [Float] = []
    let kernel: CacheAttention
    let visible: Range<Int>

    func attend(_ compute: ComputeContext) -> [Float] {
      let width = query.count / cache.heads.count
      return kernel.attend(
        cache.heads.indices.map { query[$0 * width..<($0 + 1) * width] }, cache, visible: visible,
        compute)
    }
  }

  func run(_ generator: inout SeededGenerator) -> Run {
    let count = prompt + decoded
    var cache = KVCache(
      heads: kept.map { ($0.channels.map { Int32($0) }, headDim) }, valueWidth: valueWidth,
      window: mode.window, emptyHeads: emptyHeads, codec: CacheCodec(element),
      sumsValues: order == .fast && slidingWindow == nil)
    func row(_ count: Int) -> [Float] {
      (0..<count).map { _ in representable(Float.random(in: -1...1, using: &generator)) }
    }
    var keys: [[Float]] = []
    var values: [[Float]] = []
    for token in 0..<count {
      keys.append(row(kept.count * headDim))
      values.append(row(kept.count * valueWidth))
      let j = token - prompt + 1
      let end = mode.window.map { j > 0 ? $0.middleEnd(token: j, position: token) : 0 }
      let (key, value) = (keys[token], values[token])
      cache.append(key: key.span, value: value.span, middleEnd: end ?? 0)
    }
    return Run(
      cache: cache, keys: keys, values: values,
      query: (0..<queryHeads * headDim).map { _ in Float.random(in: -1...1, using: &generator) },
      kernel: CacheAttention(
        group: group, scale: scale, softcap: softcap, sinkLogits: sinkLogits, order: order),
      visible: max(0, count - (slidingWindow ?? count))..<count)
  }

  /// `x` with the 8 bits of mantissa that every element type has.
  private func representable(_ x: Float) -> Float { (x * 128).rounded() / 128 }

  /// Largest difference of `result` from the definition, computed in double precision.
  func largestError(of result: [Float], _ run: Run) -> Double {
    var largest = 0.0
    for head in 0..<queryHeads {
      let expected = attention(
        query: run.query[head * headDim..<(head + 1) * headDim].map { Double($0) }, head: head, run)
      for (channel, value) in expected.enumerated() {
        let difference = abs(value - Double(result[head * valueWidth + channel]))
        guard difference <= largest else {
          largest = difference.isNaN ? .infinity : difference
          continue
        }
      }
    }
    return largest
  }

  /// What the newest decoded token sees: every key with the channels that the mode leaves of it.
  private func attention(query: [Double], head: Int, _ run: Run) -> [Double] {
    let kvHead = head / group
    let position = run.keys.count - 1
    var sum = sinkLogits.map { exp(Double($0[head])) } ?? 0
    var result = [Double](repeating: 0, count: valueWidth)
    for token in run.keys.indices where slidingWindow.map({ token > position - $0 }) ?? true {
      var isNear = false
      if case .windowed(let window) = mode {
        isNear = window.isNear(key: token, token: position - prompt + 1, position: position)
        if !isNear, kept[kvHead].isEmpty, emptyHeads == .absent { continue }
      }
      var score = 0.0
      for channel in 0..<headDim where isNear || kept[kvHead][channel] {
        score += query[channel] * Double(run.keys[token][kvHead * headDim + channel])
      }
      score *= Double(scale)
      if let softcap { score = tanh(score / Double(softcap)) * Double(softcap) }
      let weight = exp(score)
      sum += weight
      for channel in 0..<valueWidth {
        result[channel] += weight * Double(run.values[token][kvHead * valueWidth + channel])
      }
    }
    return sum == 0 ? result : result.map { $0 / sum }
  }
}
