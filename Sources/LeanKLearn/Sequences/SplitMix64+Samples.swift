import LeanKDecoder

extension SplitMix64 {
  /// The generator of sample `index` in a stream of samples: each has its own, so that a sample does
  /// not depend on how many are drawn before it.
  init(seed: UInt64, stream: UInt64, index: Int) {
    self.init(seed: seed)
    for part in [stream, UInt64(bitPattern: Int64(index))] {
      self = SplitMix64(seed: next() ^ part)
    }
  }

  /// A number in 0..<`bound`; the bias of the remainder is below 2^-32 for any bound below 2^32.
  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  /// `count` different numbers of 0..<`bound`, in random order.
  mutating func distinct(_ count: Int, below bound: Int) -> [Int] {
    var numbers = Array(0..<bound)
    for index in 0..<min(count, bound) {
      numbers.swapAt(index, index + below(bound - index))
    }
    return Array(numbers.prefix(count))
  }
}
