/// Merges the symbols of one word, lowest rank first, in n log n steps; memory is kept from word to
/// word.
struct BytePairMerger {
  private struct Symbol {
    var id: UInt32
    var previous: Int32
    var next: Int32
    /// Whether it has become part of the symbol before it.
    var isGone = false
  }

  private var symbols: [Symbol] = []
  /// A heap of merges that may be due: rank above, place of the left symbol below.
  private var due: [UInt64] = []

  mutating func begin() {
    symbols.removeAll(keepingCapacity: true)
    due.removeAll(keepingCapacity: true)
  }

  mutating func append(_ id: Int) {
    let place = Int32(symbols.count)
    symbols.append(Symbol(id: UInt32(id), previous: place - 1, next: place + 1))
  }

  /// Merges what can be merged and appends the ids that remain.
  mutating func merge(_ merges: MergeTable, into ids: inout [Int]) {
    guard !symbols.isEmpty else { return }
    symbols[symbols.count - 1].next = -1
    for left in 0..<symbols.count - 1 {
      push(merges, left: left, right: left + 1)
    }
    while let top = pop() {
      let rank = UInt32(top >> 32)
      let left = Int(top & 0xFFFF_FFFF)
      guard !symbols[left].isGone, symbols[left].next >= 0 else { continue }
      let right = Int(symbols[left].next)
      // What lay here when the merge was noted may have changed since. A merge into the same token
      // still counts, whatever its rank: this is how the reference computes.
      let result = merges.result(rank)
      guard let now = merges.rank(symbols[left].id, symbols[right].id),
        merges.result(now) == result
      else { continue }
      symbols[left].id = result
      symbols[left].next = symbols[right].next
      symbols[right].isGone = true
      if symbols[right].next >= 0 {
        symbols[Int(symbols[right].next)].previous = Int32(left)
        push(merges, left: left, right: Int(symbols[right].next))
      }
      if symbols[left].previous >= 0 {
        push(merges, left: Int(symbols[left].previous), right: left)
      }
    }
    for symbol in symbols where !symbol.isGone { ids.append(Int(symbol.id)) }
  }

  private mutating func push(_ merges: MergeTable, left: Int, right: Int) {
    guard let rank = merges.rank(symbols[left].id, symbols[right].id) else { return }
    var place = due.count
    let entry = UInt64(rank) << 32 | UInt64(left)
    due.append(entry)
    while place > 0 {
      let parent = (place - 1) / 2
      guard due[parent] > entry else { break }
      due[place] = due[parent]
      place = parent
    }
    due[place] = entry
  }

  private mutating func pop() -> UInt64? {
    guard let top = due.first, let last = due.popLast() else { return nil }
    guard !due.isEmpty else { return top }
    var place = 0
    while true {
      var child = 2 * place + 1
      guard child < due.count else { break }
      if child + 1 < due.count, due[child + 1] < due[child] { child += 1 }
      guard due[child] < last else { break }
      due[place] = due[child]
      place = child
    }
    due[place] = last
    return top
  }
}
