import LeanKMask
import LeanKModel

/// What one KV head's rows are: which channels the projections give, which pairs of them rotate, and
/// which of them are kept.
struct CachedHead: Sendable {
  private struct Pair: Sendable {
    let first: Int
    let second: Int
    let frequency: Int
  }

  /// Number of rows of the head, |C|.
  let rows: Int
  /// Where the channels of M lie among those of C.
  let kept: [Int32]
  private let pairs: [Pair]

  /// `channels`: those that the head's projections give; contains M and the partners of M.
  init(kept mask: ChannelSet, rows channels: ChannelSet, _ rotary: RotaryGeometry?) {
    let list = channels.channels
    var place = [Int?](repeating: nil, count: mask.width)
    for (index, channel) in list.enumerated() { place[channel] = index }
    rows = list.count
    kept = mask.channels.compactMap { place[$0].map { Int32($0) } }
    pairs = rotary.map { Self.pairs($0, list, place) } ?? []
  }

  private static func pairs(
    _ geometry: RotaryGeometry, _ channels: [Int], _ place: [Int?]
  ) -> [Pair] {
    channels.enumerated().compactMap { index, channel in
      guard let partner = geometry.partner(of: channel), geometry.isFirstOfPair(channel),
        let second = place[partner], let frequency = geometry.frequencyIndex(of: channel)
      else { return nil }
      return Pair(first: index, second: second, frequency: frequency)
    }
  }

  /// Columns `first ..< first + heads * rows` of every row of `x`, each head's pairs rotated with the
  /// frequency of its own channels: [rows of x, heads, rows].
  func rotated(
    _ x: Matrix, from first: Int, heads: Int, _ pass: TokenPass, _ table: RotaryTable?
  ) -> [Float] {
    let width = heads * rows
    var result: [Float] = []
    result.reserveCapacity(x.rows * width)
    for row in 0..<x.rows {
      let start = row * x.columns + first
      result += x.values[start..<start + width]
      guard let table else { continue }
      let angles = table.first(at: pass.first + row)
      for head in stride(from: row * width, to: (row + 1) * width, by: max(1, rows)) {
        for pair in pairs {
          let cosine = table.cosine[angles + pair.frequency]
          let sine = table.sine[angles + pair.frequency]
          let a = result[head + pair.first]
          let b = result[head + pair.second]
          result[head + pair.first] = a * cosine - b * sine
          result[head + pair.second] = b * cosine + a * sine
        }
      }
    }
    return result
  }
}
