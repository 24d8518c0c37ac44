/// The ids of words that have come before, in flat memory that is emptied when it is full.
struct WordCache {
  /// Longest word that is kept, in bytes.
  static let wordLimit = 255
  /// Most words.
  private static let capacity = 1 << 16

  private struct Slot {
    var hash: UInt32 = 0
    var text: UInt32 = 0
    var ids: UInt32 = 0
    /// Bytes of the word, 0 in a free slot.
    var length: UInt16 = 0
    var count: UInt16 = 0
  }

  private var slots: [Slot] = []
  private var text: [UInt8] = []
  private var ids: [UInt32] = []
  private var count = 0

  /// Appends the ids of `word`, whose hash is `hash`; false where it is not known.
  func append(_ word: Span<UInt8>, hash: Int, to result: inout [Int]) -> Bool {
    guard !slots.isEmpty else { return false }
    let short = UInt32(truncatingIfNeeded: hash)
    var index = Int(short) & (slots.count - 1)
    while slots[index].length > 0 {
      let slot = slots[index]
      if slot.hash == short, isWord(slot, word) {
        for place in Int(slot.ids)..<Int(slot.ids) + Int(slot.count) {
          result.append(Int(ids[place]))
        }
        return true
      }
      index = (index + 1) & (slots.count - 1)
    }
    return false
  }

  private func isWord(_ slot: Slot, _ word: Span<UInt8>) -> Bool {
    guard Int(slot.length) == word.count else { return false }
    let start = Int(slot.text)
    for offset in 0..<word.count where text[start + offset] != word[offset] { return false }
    return true
  }

  /// Keeps the ids of `word`, which is not known and has 1 to `wordLimit` bytes.
  mutating func insert(_ word: Span<UInt8>, hash: Int, ids new: ArraySlice<Int>) {
    if 4 * (count + 1) > 3 * slots.count { grow() }
    let short = UInt32(truncatingIfNeeded: hash)
    var index = Int(short) & (slots.count - 1)
    while slots[index].length > 0 { index = (index + 1) & (slots.count - 1) }
    slots[index] = Slot(
      hash: short, text: UInt32(text.count), ids: UInt32(ids.count), length: UInt16(word.count),
      count: UInt16(new.count))
    for offset in 0..<word.count { text.append(word[offset]) }
    for id in new { ids.append(UInt32(id)) }
    count += 1
  }

  private mutating func grow() {
    guard 2 * slots.count <= Self.capacity else {
      // all words make room for the next ones
      slots = [Slot](repeating: Slot(), count: 1024)
      text.removeAll(keepingCapacity: true)
      ids.removeAll(keepingCapacity: true)
      count = 0
      return
    }
    let old = slots
    slots = [Slot](repeating: Slot(), count: max(1024, 2 * old.count))
    for slot in old where slot.length > 0 {
      var index = Int(slot.hash) & (slots.count - 1)
      while slots[index].length > 0 { index = (index + 1) & (slots.count - 1) }
      slots[index] = slot
    }
  }
}
