/// The merges of byte-pair encoding: for two neighbouring ids the rank of their merge, and what each
/// merge results in.
struct MergeTable: Sendable {
  /// Most merges.
  static let countLimit = 1 << 20

  private struct Slot: Sendable {
    /// Both ids; `.max` in a free slot.
    var left: UInt32 = .max
    var right: UInt32 = .max
    var rank: UInt32 = 0
  }

  private var slots: [Slot]
  private var results: [UInt32] = []
  /// Different in each process, so that no one can choose ids that collide.
  private let seed = UInt64.random(in: 0 ... .max) | 1

  /// Room for `count` merges.
  init(capacity count: Int) {
    var size = 8
    while 3 * size < 4 * (count + 1) { size *= 2 }
    slots = [Slot](repeating: Slot(), count: size)
    results.reserveCapacity(count)
  }

  /// Adds the next merge in the order of ranks. One of the same ids takes an earlier one's place.
  mutating func append(_ left: Int, _ right: Int, into result: Int) {
    let index = slot(UInt32(left), UInt32(right))
    slots[index] = Slot(left: UInt32(left), right: UInt32(right), rank: UInt32(results.count))
    results.append(UInt32(result))
  }

  /// The rank of a merge of these ids, nil where there is none.
  func rank(_ left: UInt32, _ right: UInt32) -> UInt32? {
    let slot = slots[slot(left, right)]
    return slot.left == .max ? nil : slot.rank
  }

  /// The id that the merge of `rank` results in.
  func result(_ rank: UInt32) -> UInt32 { results[Int(rank)] }

  /// The slot of these ids, or the free one where they would lie.
  private func slot(_ left: UInt32, _ right: UInt32) -> Int {
    let key = UInt64(left) << 32 | UInt64(right)
    let mixed = (key ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15 ^ seed)
    var index = Int(truncatingIfNeeded: (mixed.high ^ mixed.low) >> 8) & (slots.count - 1)
    while slots[index].left != .max, slots[index].left != left || slots[index].right != right {
      index = (index + 1) & (slots.count - 1)
    }
    return index
  }
}
