/// SplitMix64: numbers that are the same for the same seed on every machine.
struct SplitMix64: Sendable {
  private var state: UInt64

  /// The generator of sample `index` in a stream of samples: each has its own, so that a sample does
  /// not depend on how many are drawn before it.
  init(seed: UInt64, stream: UInt64, index: Int) {
    state = seed
    for part in [stream, UInt64(bitPattern: Int64(index))] { state = next() ^ part }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
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
