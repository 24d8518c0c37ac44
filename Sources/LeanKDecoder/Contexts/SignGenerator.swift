/// Random signs, the same for a seed, sequence and layer.
struct SignGenerator: Sendable {
  private var random: SplitMix64

  init(seed: UInt64, sequence: Int, layer: Int) {
    var state = seed
    for part in [UInt64(sequence), UInt64(layer)] {
      state = SplitMix64.mixed(state &+ SplitMix64.step) ^ SplitMix64.mixed(part &+ 1)
    }
    random = SplitMix64(seed: state)
  }

  /// `count` elements of 1 or -1.
  mutating func next(count: Int) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(count)
    while result.count < count {
      var bits = random.next()
      for _ in 0..<min(64, count - result.count) {
        result.append(bits & 1 == 0 ? 1 : -1)
        bits >>= 1
      }
    }
    return result
  }
}
